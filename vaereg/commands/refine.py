"""The command `refine`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vaereg.arguments import load_model, materials_of, phases_given
from vaereg.commands.reporting import deviation_words, progress
from vaereg.console import tell
from vaereg.design_arguments import constraints_of, targets_of
from vaereg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaereg.inverse.constraints import Constraints
    from vaereg.inverse.refining.search import Origin, Refinement
    from vaereg.io.designs import DesignFile
    from vaereg.materials import TwoPhase
    from vaereg.model.checkpoint import Checkpoint
    from vaereg.targets import CellProperties, Targets

__all__ = ["run_refine"]


def run_refine(arguments: argparse.Namespace) -> None:
    """Bring designs onto their target; those that are there already are left as they are."""
    import numpy as np

    from vaereg.cluster import workers_of
    from vaereg.elasticity import diagonal_properties
    from vaereg.inverse.constraints import Constraints, check
    from vaereg.inverse.refining.refinement import VERIFICATION_RTOL, refine_all
    from vaereg.io.designs import read_designs, write_designs
    from vaereg.io.files import check_output
    from vaereg.model.prediction import MIN_EDGE
    from vaereg.targets import CellProperties, check_possible

    check_output(arguments.out, arguments.designs)
    designs = read_designs(arguments.designs)
    if min(designs.microstructures.shape[1:]) < MIN_EDGE:
        raise InputError(
            f"expected designs of at least {MIN_EDGE} voxels per edge, "
            f"got {designs.microstructures.shape[1:]}"
        )
    checkpoint = load_model(arguments)
    pair = materials_of(arguments) if phases_given(arguments) else designs.materials
    pair = checkpoint.model.materials if pair is None else pair
    targets = targets_of(arguments) or designs.wanted
    if targets is None:
        raise InputError(f"expected a target in {arguments.designs} or by --target, got none")
    constraints = constraints_of(arguments) or Constraints.from_json(designs.constraints)
    check_possible(targets, pair, symmetry=constraints.symmetry)
    is_reached = _reached(designs, targets, pair, constraints, arguments.tolerance)
    rows = np.flatnonzero(~is_reached)
    if is_reached.any():
        tell(f"refine: {is_reached.sum()} of {len(designs)} designs are there already")
    volumes, stiffness, conductivity = designs.microstructures.copy(), _stiffness(designs), _heat(designs)
    latent, recipes = designs.latent.copy(), list(designs.recipes)
    solves = np.zeros(len(designs), np.int64) if designs.solves is None else designs.solves.copy()
    stalled, is_drawn = np.zeros((2, len(designs)), dtype=bool)
    results: list[Refinement] = []
    if len(rows):
        with workers_of(arguments.workers, arguments.scheduler) as workers:
            results = refine_all(
                volumes[rows],
                targets,
                pair,
                order=_promise(designs, targets, pair, rows),
                tolerance=arguments.tolerance,
                max_solves=arguments.max_solves,
                constraints=constraints,
                origins=_origins(arguments, designs, checkpoint, rows),
                workers=workers,
                on_progress=progress("refine", "designs"),
            )
    for row, result in zip(rows, results, strict=True):
        volumes[row], stiffness[row], solves[row] = (
            result.volume,
            result.stiffness,
            solves[row] + result.solves,
        )
        stalled[row] = result.stalled
        if result.drawn is not None:
            latent[row], is_drawn[row] = result.drawn.latent, True
            if recipes:
                recipes[row] = result.drawn.recipe
        if result.properties.conductivity is not None:
            conductivity[row] = result.properties.conductivity[0]
    predicted, judge = _predicted(volumes, pair, checkpoint)
    cells = CellProperties(
        stiffness=predicted,
        fraction=volumes.mean(axis=(1, 2, 3), dtype=np.float64),
        materials=pair,
        conductivity=conductivity if targets.needs_conductivity else None,
    )
    write_designs(
        arguments.out,
        microstructures=volumes,
        component=designs.component,
        latent=latent,
        predicted=diagonal_properties(predicted),
        quantities=_quantities(cells, targets),
        target=targets,
        seed=designs.seed,
        made_by=designs.made_by,
        judged_by=judge,
        materials=pair,
        stiffness=stiffness,
        conductivity=conductivity if targets.needs_conductivity else None,
        solver_tolerance=np.full(len(designs), VERIFICATION_RTOL),
        solver_dtype=["float64"] * len(designs),
        solves=solves,
        stalled=stalled,
        modes=designs.modes,
        weights=designs.weights,
        constraints=constraints.to_json(),
        met=[[result.met for result in check(volume, constraints).results] for volume in volumes]
        if constraints
        else None,
        recipes=recipes,
        spread=_spread(designs, volumes, targets, pair, is_drawn=is_drawn),
        lengths=designs.lengths,
    )
    _tell_outcome(arguments, designs, results, targets, replace(cells, stiffness=stiffness))
    _tell_begun(rows, results)
    if judge == checkpoint.hash and checkpoint.hash != designs.made_by:
        tell(
            f"refine: the designs are of the checkpoint {designs.made_by}, the predictions and materials "
            f"of {checkpoint.hash}"
        )


def _origins(
    arguments: argparse.Namespace, designs: DesignFile, checkpoint: Checkpoint, rows: NDArray[np.intp]
) -> list[Origin | None]:
    """What some of the designs were drawn from, where that was the checkpoint that is used."""
    from vaereg.inverse.refining.search import Origin

    path = None if arguments.checkpoint is None else str(arguments.checkpoint.resolve())
    return [
        Origin(component=component, lengths=designs.lengths, checkpoint=path, made_by=checkpoint.hash)
        if component >= 0 and designs.made_by == checkpoint.hash
        else None
        for component in designs.component[rows].tolist()
    ]


def _spread(
    designs: DesignFile,
    volumes: NDArray[np.uint8],
    targets: Targets,
    pair: TwoPhase,
    *,
    is_drawn: NDArray[np.bool_],
) -> dict[str, NDArray[np.float64]]:
    """Spread of the refined volumes, where that of the designs was measured: with the interface as it is now,
    over realisations as it was, but for those that others were drawn in place of.
    """
    import numpy as np

    from vaereg.inverse.robustness import interface_spread

    if not designs.spread:
        return {}
    columns_of = {
        key: np.where(is_drawn, np.nan, column)
        for key, column in designs.spread.items()
        if key.startswith("realisations/") and key.partition("/")[2] in targets.names
    }
    interface = interface_spread(volumes, targets, pair)
    for kind in ("eroded", "dilated"):
        columns = getattr(interface, kind).T
        columns_of |= {f"{kind}/{name}": column for name, column in zip(targets.names, columns, strict=True)}
    return columns_of


def _reached(
    designs: DesignFile, targets: Targets, pair: TwoPhase, constraints: Constraints, tolerance: float
) -> NDArray[np.bool_]:
    """Designs that a former refinement has verified within the tolerance, shape (N,)."""
    import numpy as np

    from vaereg.inverse.constraints import satisfied
    from vaereg.inverse.idle import carries
    from vaereg.inverse.refining.refinement import VERIFICATION_RTOL
    from vaereg.targets import CellProperties

    none = np.zeros(len(designs), dtype=bool)
    tolerances = designs.solver_tolerance
    if designs.materials != pair or designs.stiffness is None or tolerances is None or targets.objectives:
        return none
    if not 0.0 < tolerance < np.inf:
        return none
    cells = CellProperties(
        stiffness=designs.stiffness,
        fraction=designs.microstructures.mean(axis=(1, 2, 3), dtype=np.float64),
        materials=pair,
        conductivity=designs.conductivity,
    )
    near = np.nan_to_num(targets.largest_deviation(cells), nan=np.inf) <= tolerance
    near &= carries(targets, cells)
    meets = np.array(
        [not constraints or satisfied(volume, constraints) for volume in designs.microstructures]
    )
    return near & meets & (tolerances <= VERIFICATION_RTOL)


def _stiffness(designs: DesignFile) -> NDArray[np.float64]:
    import numpy as np

    return np.full((len(designs), 6, 6), np.nan) if designs.stiffness is None else designs.stiffness.copy()


def _heat(designs: DesignFile) -> NDArray[np.float64]:
    import numpy as np

    return (
        np.full((len(designs), 3, 3), np.nan) if designs.conductivity is None else designs.conductivity.copy()
    )


def _promise(designs: DesignFile, targets: Targets, pair: TwoPhase, rows: NDArray[np.intp]) -> list[int]:
    """Order in which some of the designs are refined: the nearest by prediction first."""
    import numpy as np

    from vaereg.targets import CellProperties

    if designs.predicted is None:
        return list(range(len(rows)))
    fraction = designs.microstructures.mean(axis=(1, 2, 3), dtype=np.float64)
    cells = CellProperties.from_diagonal(designs.predicted, fraction, pair).rows(rows)
    deviations = np.nan_to_num(targets.deviations(cells), nan=0.0).max(axis=1)
    return np.argsort(deviations, kind="stable").tolist()


def _predicted(
    volumes: NDArray[np.uint8], pair: TwoPhase, checkpoint: Checkpoint
) -> tuple[NDArray[np.float64], str]:
    """Predicted stiffness, NaN where it is not known, shape (N, 6, 6) [GPa], and the hash of its model."""
    import numpy as np

    from vaereg.model.pairs.regressor import load_pair_model, predict_stiffness
    from vaereg.model.prediction import predict

    if pair.moduli() == checkpoint.model.materials.moduli():
        stiffness = np.full((len(volumes), 6, 6), np.nan)
        stiffness[:, range(6), range(6)] = predict(checkpoint, volumes).mean
        return stiffness, checkpoint.hash
    model = load_pair_model()
    return predict_stiffness(model, list(volumes), [pair]).mean, model.hash


def _quantities(cells: CellProperties, targets: Targets) -> dict[str, NDArray[np.float64]]:
    """Predicted values of what was asked for, by name; those that are not on the diagonal."""
    import numpy as np

    from vaereg.elasticity import PROPERTIES

    values = cells.values(targets.names)
    return {
        name: column
        for name, column in zip(targets.names, values.T, strict=True)
        if name not in PROPERTIES and np.isfinite(column).any()
    }


def _tell_begun(rows: NDArray[np.intp], results: Sequence[Refinement]) -> None:
    """Tell which designs other volumes than theirs were gone on from."""
    begun_of: dict[str, list[str]] = {}
    for row, result in zip(rows, results, strict=True):
        if result.begun_words:
            begun_of.setdefault(result.begun_words, []).append(str(row))
    for words, named in begun_of.items():
        which = f"design {named[0]}" if len(named) == 1 else f"each of designs {', '.join(named)}"
        tell(f"refine: {which}, counted from 0: {words}")


def _tell_outcome(
    arguments: argparse.Namespace,
    designs: DesignFile,
    results: Sequence[Refinement],
    targets: Targets,
    solved: CellProperties,
) -> None:
    import numpy as np

    from vaereg.inverse.idle import idle_of
    from vaereg.inverse.refining.search import STALLED
    from vaereg.microstructure.statistics import within_component

    if not results:
        return
    spread = within_component(designs.microstructures, designs.component)
    usual = "" if spread is None else f" (two designs of one component differ by {spread:.4f})"
    solves, changes = ([getattr(result, name) for result in results] for name in ("solves", "moved"))
    tell(
        f"refine: {sum(solves)} solves, median {np.median(solves):g} per design; two-point statistics "
        f"moved by {np.median(changes):.4f}{usual}"
    )
    tell(f"refine: by the solver {deviation_words(targets, solved)}")
    if idle := idle_of(targets, solved, designs.component, designs.modes, kept=True):
        tell(f"refine: {idle.words()}")
    missed = [result for result in results if not result.converged and np.isfinite(result.largest_distance)]
    if not missed:
        return
    nearest = min(missed, key=lambda result: result.largest_distance)
    deviations = np.nan_to_num(targets.deviations(nearest.properties)[0], nan=np.inf)
    worst = targets.names[int(deviations.argmax())]
    tell(
        f"refine: {len(missed)} of {len(results)} designs are not there yet: "
        f"more than {100 * arguments.tolerance:g} % off the target after up to {arguments.max_solves} "
        f"solves, the nearest {100 * nearest.largest_distance:.2g} %, in {worst}"
    )
    if count := sum(result.stalled for result in missed):
        tell(
            f"refine: {count} of them ended early. Of each: {STALLED} (design --mode, design --size, "
            "refine --tolerance)"
        )
