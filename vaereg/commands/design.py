"""The commands `design` and `modes`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from vaereg.arguments import load_model, materials_of, phases_given
from vaereg.commands.reporting import deviation_words, progress, write_json
from vaereg.console import tell
from vaereg.design_arguments import constraints_of, spread_limits_of, targets_of
from vaereg.errors import InputError

if TYPE_CHECKING:
    from vaereg.inverse.designs import Designs
    from vaereg.inverse.orders import DesignOrder
    from vaereg.inverse.reach import Reach
    from vaereg.inverse.robustness import DesignSpread
    from vaereg.materials import TwoPhase
    from vaereg.model.checkpoint import Checkpoint
    from vaereg.targets import Targets, Wanted

__all__ = ["run_design", "run_modes"]

_MANY = 10.0
"""Relative change of a quantity above which its size says no more [-]."""
_EXTREME = 0.95
"""Volume fraction of one phase, above which designs of an objective are hardly composites [-]."""


def run_design(arguments: argparse.Namespace) -> None:
    """Make designs for a target, or for every row of a table."""
    from vaereg.inverse.orders import carry_out, save_designed
    from vaereg.io.files import check_output

    if arguments.targets is not None:
        _run_table(arguments)
        return
    targets = _wanted(arguments)
    constraints_of(arguments)  # refused before anything is loaded
    check_output(arguments.out)
    checkpoint = load_model(arguments)
    order = _order(arguments, checkpoint)
    if arguments.pareto is not None:
        _run_front(arguments, order, targets, checkpoint)
        return
    designed = carry_out(order, targets, checkpoint, on_progress=progress("design", "candidates"))
    save_designed(designed, arguments.out)
    if designed.far:
        tell(f"design: {designed.far}")
    _tell_designs(designed.designs, designed.left_out)
    _tell_moved(targets, designed.designs.wanted)
    if designed.spread is not None:
        _tell_spread(designed.spread)


def _order(arguments: argparse.Namespace, checkpoint: Checkpoint) -> DesignOrder:
    """Everything but the target."""
    from vaereg.arguments import device_of
    from vaereg.inverse.orders import DesignOrder

    interface, scatter = spread_limits_of(arguments)
    components = _components(arguments, checkpoint)
    if arguments.hold and not arguments.nearest:
        raise InputError("expected --nearest beside --hold, got --hold alone")
    return DesignOrder(
        count=arguments.count,
        size=arguments.size,
        lengths=arguments.lengths,
        seed=arguments.seed,
        component=None if components is None else tuple(components),
        corrections=arguments.corrections,
        constraints=constraints_of(arguments),
        materials=_pair(arguments),
        robustness=arguments.robustness,
        interface=interface,
        scatter=scatter,
        nearest=arguments.nearest,
        fixed=tuple(arguments.hold),
        checkpoint=arguments.checkpoint,
        checkpoint_hash=checkpoint.hash,
        device=device_of(arguments),
    )


def _run_front(
    arguments: argparse.Namespace, order: DesignOrder, targets: Targets, checkpoint: Checkpoint
) -> None:
    """Make the Pareto front of two or three objectives."""
    from vaereg.cluster import workers_of
    from vaereg.inverse.fronts.verified import design_front, save_front
    from vaereg.inverse.recipes import recipes
    from vaereg.targets import QUANTITIES

    with workers_of(arguments.workers, arguments.scheduler) as workers:
        front = design_front(
            checkpoint,
            targets,
            arguments.pareto,
            order.size,
            materials=order.materials,
            lengths=order.lengths,
            seed=order.seed,
            component=order.component,
            corrections=order.corrections,
            constraints=order.constraints,
            workers=None if arguments.scheduler is None else workers,
            on_progress=progress("design", "candidates"),
        )
    save_front(arguments.out, front, recipes=recipes(checkpoint, front.designs))
    ends = ", ".join(
        f"{item.name} {column.min():.4g} to {column.max():.4g}{QUANTITIES[item.name].unit_after}"
        for item, column in zip(targets.objectives, front.values.T, strict=True)
    )
    tell(
        f"design: {len(front.values)} designs on the front by the solver, of {front.candidates} candidates, "
        f"{front.judged} judged and {front.verified} solved: {ends}"
    )
    tell(
        f"design: the front has {front.hypervolume:.3f} of the box around both fronts, that of the training "
        f"volumes {front.known_hypervolume:.3f}"
    )


def _run_table(arguments: argparse.Namespace) -> None:
    """Make designs for every row of a table that is not done yet."""
    from vaereg.cluster import workers_of
    from vaereg.inverse.batch import RECORD, run_batch
    from vaereg.inverse.orders import for_row, save_designed
    from vaereg.targets import read_table

    if targets_of(arguments) is not None:
        raise InputError("expected --targets, or --target and its like, got both")
    if arguments.pareto is not None:
        raise InputError("expected --pareto with --maximize and --minimize, got it with --targets")
    rows = read_table(arguments.targets)
    order = _order(arguments, load_model(arguments))
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        outcomes = run_batch(
            rows,
            arguments.out,
            partial(for_row, order),
            save_designed,
            told=attrgetter("far"),
            workers=workers,
            on_progress=progress("design", "rows"),
        )
    refused = [outcome for outcome in outcomes if outcome.error]
    tell(f"design: {len(outcomes) - len(refused)} of {len(outcomes)} rows have designs in {arguments.out}")
    if refused:
        tell(
            f"design: {len(refused)} rows are refused, see {arguments.out / RECORD}; the first, line "
            f"{refused[0].line}: {refused[0].error}"
        )
    if far := [outcome for outcome in outcomes if outcome.told]:
        tell(
            f"design: {len(far)} of {len(outcomes)} rows are far from all modes; the first, line "
            f"{far[0].line}: {far[0].told}"
        )


def run_modes(arguments: argparse.Namespace) -> None:
    """Say which modes reach a target."""
    from vaereg.inverse.reach import mode_reach
    from vaereg.inverse.sampling.judging import Judge
    from vaereg.inverse.sampling.trials import shares_in_pieces
    from vaereg.io.exporting.provenance import describe_run
    from vaereg.io.files import check_output

    targets = _wanted(arguments)
    check_output(arguments.out)
    checkpoint = load_model(arguments)
    if checkpoint.modes is None:
        raise InputError("expected a checkpoint with modes, got one with a free mixture")
    pair = _pair(arguments) or checkpoint.model.materials
    targets.check_materials(pair)
    reach = mode_reach(checkpoint.modes, targets, pair)
    pieces = {} if not pair.has_void else shares_in_pieces(Judge(checkpoint, targets, pair), reach)
    reach = reach.without([index for index, share in pieces.items() if share == 1.0])
    modes = {}
    for index, mode in enumerate(checkpoint.modes.catalogue):
        distance = float(reach.distance[index])
        modes[mode.name] = {
            "sentence": mode.sentence,
            "weight": float(reach.weights[index]),
            "reached": bool(reach.reached[index]),
            "largest_deviation": distance if distance < float("inf") else None,
            "nearest": reach.nearest(index, targets.names),
        }
        if index in pieces:
            modes[mode.name]["in_pieces"] = pieces[index]
    content = {
        **describe_run(pair, checkpoint=checkpoint.hash),
        "target": targets.to_json(),
        "modes": modes,
    }
    write_json(arguments.out, content)
    tell(f"modes: {reach.words()}")
    for item in targets.objectives:
        if reach.reached.any():
            tell(f"modes: {_objective_words(item, reach)}")
    apart = ", ".join(f"{reach.names[index]} {100 * share:.0f} %" for index, share in pieces.items() if share)
    if apart:
        tell(f"modes: trial cells that are pieces apart in a void, without all that is asked for: {apart}")


def _objective_words(item: Wanted, reach: Reach) -> str:
    """How far each mode that reaches the target gets with an objective, the best first."""
    from vaereg.targets import QUANTITIES

    sign = -1.0 if item.goal == "max" else 1.0
    offers = [
        (sign * reach.nearest(index, (item.name,))[item.name], name)
        for index, name in enumerate(reach.names)
        if reach.reached[index]
    ]
    values = ", ".join(f"{name} {sign * value:.4g}" for value, name in sorted(offers))
    unit = QUANTITIES[item.name].unit.replace("-", "")
    return f"{item.name}{f' [{unit}]' if unit else ''} that is expected of the nearest cells: {values}"


def _wanted(arguments: argparse.Namespace) -> Targets:
    targets = targets_of(arguments)
    if targets is None:
        raise InputError("expected a target, such as --target E_x=20GPa or --maximize E_z")
    return targets


def _pair(arguments: argparse.Namespace) -> TwoPhase | None:
    """The phases of the flags; None for those of the checkpoint."""
    return materials_of(arguments) if phases_given(arguments) else None


def _components(arguments: argparse.Namespace, checkpoint: Checkpoint) -> list[int] | None:
    """Indices of the components that are asked for by name or number; None for all."""
    numbers = [] if arguments.component is None else [arguments.component]
    for name in arguments.mode:
        if checkpoint.modes is None:
            raise InputError("expected a checkpoint with modes for --mode, got one with a free mixture")
        names = checkpoint.modes.names
        if name not in names:
            raise InputError(f"unknown mode {name!r}, expected one of {', '.join(names)}")
        numbers.append(names.index(name))
    return numbers or None


def _tell_designs(designs: Designs, left_out: Mapping[str, int]) -> None:
    """Print components or modes of the designs and their deviations."""
    components = sorted(set(designs.component.tolist()))
    names = (
        ", ".join(designs.modes[index] for index in components)
        if designs.modes
        else f"{len(components)} components"
    )
    tell(f"design: {names}; by prediction {deviation_words(designs.wanted, designs.cells)}")
    if designs.idle:
        tell(f"design: {designs.idle.words()}")
    extreme = "nearly all" if min(designs.fraction) > _EXTREME else "hardly any"
    if designs.wanted.objectives and (
        min(designs.fraction) > _EXTREME or max(designs.fraction) < 1 - _EXTREME
    ):
        tell(
            f"design: the designs are {extreme} of the stiff phase, since nothing is asked for that weighs "
            "against that, such as --target density=:1.5 or --target volume_fraction=0.3"
        )
    if left_out:
        counts = ", ".join(f"{name} is not met by {count}" for name, count in left_out.items())
        tell(f"design: designs that do not meet all constraints are left out: {counts}")


def _tell_moved(targets: Targets, reached: Targets) -> None:
    """Print the targets that gave way to the nearest reachable ones."""
    changed = [new for old, new in zip(targets, reached, strict=True) if old != new]
    if changed:
        words = ", ".join(item.words() for item in changed)
        tell(f"design: what was asked for is out of reach; the designs are for the nearest: {words}")


def _tell_spread(spread: DesignSpread) -> None:
    """Print how robust the designs are."""
    import numpy as np

    def words(share: float) -> str:
        return f"{100.0 * share:.3g} %" if share < _MANY else f"more than {100.0 * _MANY:.0f} %"

    interface, scatter = (
        [words(float(choose(shares))) for choose in (np.min, np.median)]
        for shares in (spread.interface, spread.scatter)
    )
    tell(
        f"design: as interfaces move by half a voxel, quantities change by {interface[0]} at most in the "
        f"most robust design, {interface[1]} in the median; over ten realisations their standard deviation "
        f"is {scatter[0]} and {scatter[1]}"
    )
