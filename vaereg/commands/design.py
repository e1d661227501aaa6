"""The command `design`."""

from __future__ import annotations

import argparse

from vaereg.arguments import load_model
from vaereg.commands.reporting import progress
from vaereg.errors import InputError

__all__ = ["run_design"]


def run_design(arguments: argparse.Namespace) -> None:
    """Make designs for a target."""
    from vaereg.inverse.designs import save_designs
    from vaereg.inverse.direct import design
    from vaereg.io.files import check_output
    from vaereg.targets import parse_target

    targets = {}
    for text in arguments.target:
        name, value = parse_target(text)
        if name in targets:
            raise InputError(f"expected one target for {name}, got two")
        targets[name] = value
    check_output(arguments.out)
    checkpoint = load_model(arguments)
    designs = design(
        checkpoint,
        targets,
        arguments.count,
        arguments.size,
        seed=arguments.seed,
        component=arguments.component,
        on_progress=progress("design", "candidates"),
    )
    save_designs(arguments.out, designs, materials=checkpoint.model.materials)
