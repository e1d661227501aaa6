"""Corrections of designs without a solve: flips of voxels chosen by the sensitivities of a few iterations.

The regressor for any pair of phases runs a few iterations of the solver, whose strains already say well
enough which voxels of the interface to flip (`vaereg.inverse.refining.flips`). So a step costs one prediction
and one choice of flips; the next prediction judges it, and a design is never left worse by prediction than it
was. Conductivities are solved, with their sensitivities, which takes a tenth of the time.

    corrected = correct(volumes, parse(["E_x=20", "k_z=3:"]), materials, steps=2)
    corrected.volumes, corrected.properties, corrected.largest_deviation[:, -1]

Letters: N designs, P targeted quantities, S steps, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints, meet, satisfied
from vaereg.inverse.refining.aims import distance, wanted_changes
from vaereg.inverse.refining.effects import Effects, effects_of_flips, interface_of
from vaereg.inverse.refining.flips import (
    FEW,
    FEWER,
    MORE,
    Flips,
    Ratios,
    choose_flips,
    expected_change,
    first_ratios,
    flips_between,
    learn_ratios,
    neck_cost,
)
from vaereg.inverse.refining.predicting import Anchor, Answer, closeness, judge
from vaereg.materials import TwoPhase
from vaereg.microstructure.symmetry import orbits_of
from vaereg.microstructure.volume import as_two_phase
from vaereg.model.pairs.regressor import PairModel, load_pair_model
from vaereg.solver.bounds import StrainEnergies
from vaereg.targets import CellProperties, Target, Targets
from vaereg.workers import thread_map

__all__ = ["REACHED", "STEPS", "Corrections", "correct"]

STEPS = 2
"""Steps of correction unless another number is asked for."""
REACHED = 1e-3
"""Largest deviation below which a design is left as it is [-]: the prediction knows no better."""
_TRUST = 0.06
"""Largest share of the voxels that are flipped in a step, unless one left the design worse [-]: twice what
refinement flips. A step that leads too far costs one prediction, while many raw designs, of those under
constraints the half, are farther off than flips of 3 % can make up for."""
_AIMS = 4
"""Choices of flips under constraints: of what these leave, that nearest to the wanted change is tried."""
_UNMET = 10.0
"""Deviation that unmet constraints count as in this [-]."""
_VOXELS_AT_ONCE = 32 * 32**3
"""Voxels whose sensitivities are held at once: 88 MB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrections:
    """Designs before and after correction, as the regressor for any pair of phases sees them."""

    volumes: NDArray[np.uint8]
    """Phases 0 and 1 after the last step, shape (N, X, Y, Z)."""
    properties: CellProperties
    """Their predicted properties; conductivities are solved."""
    stiffness_std: NDArray[np.float64]
    """Calibrated standard deviation of their stiffness, shape (N, 6, 6) [GPa]; zero where none was needed."""
    novelty: NDArray[np.float64]
    """Distance of the volumes from the training set of the regressor, shape (N,) [-]; above 1 is novel."""
    raw_properties: CellProperties
    """Properties before the first step."""
    largest_deviation: NDArray[np.float64]
    """Largest deviation from the targets after 0, 1, ... S steps, shape (N, S + 1) [-]; it never rises."""
    changed: NDArray[np.float64]
    """Share of the voxels that differ from those before, shape (N,) [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """One volume with its prediction."""

    volume: NDArray[np.uint8]
    properties: CellProperties
    std: NDArray[np.float64]
    novelty: float
    deviation: float
    distance: float
    met: bool


@dataclass(kw_only=True, slots=True)
class _State:
    """One design under correction: the volume that flips are made to, and the best so far."""

    base: _Judged
    best: _Judged
    energies: tuple[StrainEnergies | None, NDArray | None] | None = None
    """Sensitivities of the base, elastic and of conduction, until flips are chosen by them."""
    effects: Effects | None = None
    ratios: Ratios | None = None
    trust: float = _TRUST
    avoided: list[int] = field(default_factory=list)
    flips: Flips | None = None
    orbits: NDArray[np.intp] | None = field(default=None)


def correct(
    volumes: ArrayLike,
    targets: Targets | Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    steps: int = STEPS,
    model: PairModel | None = None,
    constraints: Constraints | None = None,
    solved: CellProperties | None = None,
    enough: float = REACHED,
    on_progress: Callable[[int, int], None] | None = None,
) -> Corrections:
    """Move the interfaces of designs so that predicted quantities come nearer to their targets.

    Args:
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
        targets: What is wanted; objectives are kept from getting worse.
        materials: The two phases; the reference pair if left out.
        steps: Number S of steps; with 0 the designs are only judged.
        model: Regressor for any pair of phases; the shipped one if left out.
        constraints: What every design has to meet; volumes that do not are changed so that they do, as far as
            that is possible, before they are judged.
        solved: Properties of the volumes by the solver, where they are known: predictions are shifted by
            what they are off before the first step.
        enough: Largest deviation below which a design is left as it is [-].
        on_progress: Called with the predictions that are done and with how many there will be at most.

    Raises:
        InputError: A volume is not two-phase, `steps` is negative, or a phase lacks what a target needs.
    """
    stack = np.asarray(volumes)
    if stack.ndim != 4 or len(stack) == 0:
        raise InputError(f"expected volumes of shape (N, X, Y, Z), got an array of shape {stack.shape}")
    if steps < 0:
        raise InputError(f"expected 0 or more steps of correction, got {steps}")
    wanted, pair = Targets.of(targets), materials or TwoPhase()
    wanted.check_materials(pair)
    regressor = load_pair_model() if model is None and wanted.needs_stiffness else model
    binary = np.stack([as_two_phase(volume) for volume in stack])
    count = max(1, _VOXELS_AT_ONCE // max(binary[0].size, 1))
    total, predictions, parts = len(binary) * (steps + 1), 0, []
    for begin in range(0, len(binary), count):

        def report(number: int, before: int = predictions) -> None:
            if on_progress:
                on_progress(before + number, total)

        part = binary[begin : begin + count]
        solved_part = None if solved is None else solved.rows(range(begin, begin + len(part)))
        parts.append(
            _correct_some(part, wanted, pair, steps, regressor, constraints, solved_part, enough, report)
        )
        predictions += len(part) * (steps + 1)
        report(0, predictions)
    return _joined(parts, binary)


def _correct_some(
    volumes: NDArray[np.uint8],
    targets: Targets,
    pair: TwoPhase,
    steps: int,
    model: PairModel | None,
    constraints: Constraints | None,
    solved: CellProperties | None,
    enough: float,
    report: Callable[[int], None],
) -> Corrections:
    if constraints is not None:
        volumes = np.stack(list(thread_map(lambda volume: meet(volume, constraints), volumes)))
    answer = judge(volumes, targets, pair, model, sensitivities=steps > 0)
    anchor = Anchor(answer=answer, solved=solved)
    answer = replace(answer, properties=anchor.properties)
    report(len(volumes))
    starts = [_judged(volume, answer, row, targets, constraints) for row, volume in enumerate(volumes)]
    states = [
        _State(
            base=judged,
            best=judged,
            orbits=None
            if constraints is None or constraints.symmetry == "none"
            else orbits_of(judged.volume.shape, constraints.symmetry),
        )
        for judged in starts
    ]
    raw = answer.properties
    for row, state in enumerate(states):
        _learn(state, answer, row, targets)
    history = [[state.best.deviation for state in states]]
    for step in range(steps):
        active = [row for row, state in enumerate(states) if not state.best.deviation <= enough]
        trials = list(thread_map(lambda row: _trial(states[row], targets, constraints), active))
        new_trials = [(row, trial) for row, trial in zip(active, trials, strict=True) if trial is not None]
        if not new_trials:
            history += [history[-1]] * (steps - step)
            break
        trial_volumes = np.stack([trial for _, trial in new_trials])
        steps_follow = step + 1 < steps
        close = closeness(pair, coarse=step in (0, steps - 1))
        like = anchor, [row for row, _ in new_trials], close
        answer = judge(trial_volumes, targets, pair, model, sensitivities=steps_follow, like=like)
        for place, (row, trial) in enumerate(new_trials):
            _accept(states[row], trial, answer, place, targets, constraints)
        report((step + 1) * len(volumes) + len(new_trials))
        history.append([state.best.deviation for state in states])
    best = [state.best for state in states]
    return Corrections(
        volumes=np.stack([judged.volume for judged in best]),
        properties=_all_cells([judged.properties for judged in best]),
        stiffness_std=np.stack([judged.std for judged in best]),
        novelty=np.array([judged.novelty for judged in best]),
        raw_properties=raw,
        largest_deviation=np.array(history).T,
        changed=np.zeros(len(states)),
    )


def _deviation(targets: Targets, properties: CellProperties) -> float:
    """Largest deviation of one cell; infinite where a quantity is not known."""
    return float(np.nan_to_num(targets.largest_deviation(properties), nan=np.inf)[0])


def _learn(state: _State, answer: Answer, row: int, targets: Targets) -> None:
    """Keep the energies that say what flips of the base do, where the iterations have told them."""
    prediction, conduction = answer.prediction, answer.conduction
    sensitivity = prediction.sensitivity[row] if prediction and prediction.sensitivity else None
    heat = conduction[row] if conduction else None
    unknown = (targets.needs_stiffness and sensitivity is None) or (
        targets.needs_conductivity and heat is None
    )
    state.effects, state.energies = None, None if unknown else (sensitivity, heat)


def _trial(state: _State, targets: Targets, constraints: Constraints | None) -> NDArray[np.uint8] | None:
    """Volume to be judged next; None where nothing is left to flip."""
    pair = state.base.properties.materials
    if state.energies is not None:
        gradients = state.base.properties.gradients(targets.names)
        state.effects = effects_of_flips(state.base.volume, pair, gradients, *state.energies)
        state.energies, state.ratios = None, state.ratios or first_ratios(gradients, pair)
    if state.effects is None or state.ratios is None:
        return None
    least, most, unit = wanted_changes(targets, state.base.properties)
    volume, necks = state.base.volume, neck_cost(targets, pair)
    aim, best_trial, nearest = np.zeros(len(unit)), None, np.inf
    allowed = interface_of(volume)
    allowed.ravel()[state.avoided] = False
    for _ in range(1 if constraints is None else _AIMS):
        flips = choose_flips(
            volume,
            state.effects,
            state.ratios,
            least + aim,
            most + aim,
            unit,
            allowed=allowed,
            orbits=state.orbits,
            necks=necks,
            trust=state.trust,
        )
        if flips is None:
            break
        trial, met = flips.applied(volume), True
        if constraints is not None:
            trial = meet(trial, constraints)
            met, flips = satisfied(trial, constraints), flips_between(volume, trial, state.effects)
        change = expected_change(flips, state.ratios)
        missing = np.clip(change, least, most) - change
        off = float(np.linalg.norm(missing / unit)) + (0.0 if met else _UNMET)
        if off < nearest and trial.min() < trial.max() and len(flips.voxels):
            best_trial, state.flips, nearest = trial, flips, off
        aim += missing  # what constraints take back is asked for besides
    return best_trial


def _accept(
    state: _State,
    trial: NDArray[np.uint8],
    answer: Answer,
    row: int,
    targets: Targets,
    constraints: Constraints | None,
) -> None:
    """Learn from a trial, keep it where it is the best, and go on from it where it is nearer; otherwise fewer
    voxels are flipped.
    """
    judged = _judged(trial, answer, row, targets, constraints)
    if state.flips is not None and state.ratios is not None:
        before = state.base.properties
        change = judged.properties.values(targets.names)[0] - before.values(targets.names)[0]
        state.ratios = learn_ratios(
            state.ratios, state.flips, np.nan_to_num(change), targets.scales(before)[0]
        )
    if judged.deviation < state.best.deviation and (judged.met or not state.best.met):
        state.best = judged
    if judged.distance < state.base.distance and (judged.met or not state.base.met):
        state.base, state.trust = judged, min(MORE * state.trust, _TRUST)
        _learn(state, answer, row, targets)
    elif state.flips is not None:
        if len(state.flips.voxels) <= FEW:
            state.avoided += state.flips.voxels.tolist()
        state.trust = FEWER * max(len(state.flips.voxels), FEW) / trial.size


def _judged(
    volume: NDArray[np.uint8],
    answer: Answer,
    row: int,
    targets: Targets,
    constraints: Constraints | None,
) -> _Judged:
    properties = answer.properties.rows([row])
    return _Judged(
        volume=volume,
        properties=properties,
        std=answer.std(row),
        novelty=answer.novelty(row),
        deviation=_deviation(targets, properties),
        distance=distance(targets, properties),
        met=constraints is None or satisfied(volume, constraints),
    )


def _joined(parts: list[Corrections], before: NDArray[np.uint8]) -> Corrections:
    """All parts as one, with the share of voxels that changed."""
    volumes = np.concatenate([part.volumes for part in parts])
    merged = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("stiffness_std", "novelty", "largest_deviation")
    }
    return replace(
        parts[0],
        volumes=volumes,
        properties=_all_cells([part.properties for part in parts]),
        raw_properties=_all_cells([part.raw_properties for part in parts]),
        changed=(volumes != before).mean(axis=(1, 2, 3)),
        **merged,
    )


def _all_cells(parts: list[CellProperties]) -> CellProperties:
    conductivities = [part.conductivity for part in parts if part.conductivity is not None]
    return replace(
        parts[0],
        stiffness=np.concatenate([part.stiffness for part in parts]),
        fraction=np.concatenate([part.fraction for part in parts]),
        conductivity=np.concatenate(conductivities) if len(conductivities) == len(parts) else None,
    )
