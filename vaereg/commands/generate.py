"""The commands `generate` and `merge`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vaereg.commands.reporting import progress
from vaereg.console import tell
from vaereg.errors import InputError

__all__ = ["run_generate", "run_merge"]


def run_generate(arguments: argparse.Namespace) -> None:
    """Make a labelled data set."""
    from vaereg.cluster import workers_of
    from vaereg.io.shards import Shard
    from vaereg.training.labelling.families import generate_dataset
    from vaereg.training.labelling.morphologies import generate_morphologies

    shard = None if arguments.shard is None else Shard.parse(arguments.shard)
    sizes = arguments.size or [32]
    if not arguments.morphologies and len(sizes) != 1:
        raise InputError(f"expected one size, got {len(sizes)}; several need --morphologies")
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        if arguments.morphologies:
            generate_morphologies(
                arguments.out,
                arguments.count,
                arguments.seed,
                sizes=arguments.size,
                morphologies=_names(arguments.morphologies),
                workers=workers,
                on_progress=progress("generate", "volumes"),
                shard=shard,
            )
        else:
            generate_dataset(
                arguments.out,
                arguments.count,
                arguments.seed,
                size=sizes[0],
                families=_names(arguments.families),
                workers=workers,
                on_progress=progress("generate", "volumes"),
                shard=shard,
            )


def run_merge(arguments: argparse.Namespace) -> None:
    """Join the shards of a data set."""
    from vaereg.training.labelling.merging import merge_shards

    count = merge_shards(arguments.shards, arguments.out, on_progress=progress("merge", "shards"))
    tell(f"merge: wrote {arguments.out}: {count} volumes of {len(arguments.shards)} shards")


def _names(arguments: Sequence[str] | None) -> list[str] | None:
    """Names given one by one or with commas."""
    return None if arguments is None else [name for text in arguments for name in text.split(",") if name]
