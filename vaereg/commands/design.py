"""The commands `design` and `refine`."""

from __future__ import annotations

import argparse

from vaereg.arguments import load_model
from vaereg.commands.reporting import progress
from vaereg.console import tell
from vaereg.errors import InputError

__all__ = ["run_design", "run_refine"]


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


def run_refine(arguments: argparse.Namespace) -> None:
    """Bring designs onto their target."""
    import numpy as np

    from vaereg.cluster import workers_of
    from vaereg.elasticity import PROPERTIES
    from vaereg.inverse.refinement import VERIFICATION_RTOL, refine_all
    from vaereg.io.designs import read_designs, write_designs
    from vaereg.io.files import check_output
    from vaereg.microstructure.statistics import within_component
    from vaereg.model.prediction import MIN_EDGE, predict
    from vaereg.targets import target_distance

    check_output(arguments.out, arguments.designs)
    stored = read_designs(arguments.designs)
    if min(stored.microstructures.shape[1:]) < MIN_EDGE:
        raise InputError(
            f"expected designs of at least {MIN_EDGE} voxels per edge, got {stored.microstructures.shape[1:]}"
        )
    checkpoint = load_model(arguments)
    predictable = {name: value for name, value in stored.target.items() if name in PROPERTIES}
    promise = np.zeros(len(stored))
    if predictable and stored.predicted is not None:
        promise = target_distance(stored.predicted, predictable)
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        results = refine_all(
            stored.microstructures,
            stored.target,
            checkpoint.model.materials,
            order=np.argsort(promise, kind="stable").tolist(),
            tolerance=arguments.tolerance,
            max_solves=arguments.max_solves,
            workers=workers,
            on_progress=progress("refine", "designs"),
        )
    volumes = np.stack([result.volume for result in results])
    write_designs(
        arguments.out,
        microstructures=volumes,
        component=stored.component,
        latent=stored.latent,
        predicted=predict(checkpoint, volumes).mean,
        target=stored.target,
        seed=stored.seed,
        made_by=stored.made_by,
        judged_by=checkpoint.hash,
        materials=checkpoint.model.materials,
        stiffness=np.stack([result.stiffness for result in results]),
        solver_tolerance=np.full(len(results), VERIFICATION_RTOL),
        solver_dtype=["float64"] * len(results),
        solves=np.array([result.solves for result in results]),
    )
    spread = within_component(stored.microstructures, stored.component)
    usual = "" if spread is None else f" (two designs of one component differ by {spread:.4f})"
    solves, moved = ([getattr(result, name) for result in results] for name in ("solves", "moved"))
    tell(
        f"refine: {sum(solves)} solves, median {np.median(solves):g} per design; two-point statistics "
        f"moved by {np.median(moved):.4f}{usual}"
    )
    if checkpoint.hash != stored.made_by:
        tell(
            f"refine: the designs are of the checkpoint {stored.made_by}, the predictions and materials "
            f"of {checkpoint.hash}"
        )
    if missed := [result for result in results if not result.converged]:
        least = min(result.largest_distance for result in missed)
        tell(
            f"refine: {len(missed)} of {len(results)} designs are not there yet: "
            f"more than {100 * arguments.tolerance:g} % off the target after up to {arguments.max_solves} "
            f"solves, the nearest {100 * least:.2g} %"
        )
