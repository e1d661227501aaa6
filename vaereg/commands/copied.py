"""What a page computed as Python and as a command line: run anywhere, both give the same volumes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.materials import VOID, Phase, TwoPhase, phase_by_name
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.targets import Targets, Wanted

__all__ = ["Copied", "copied_design", "copied_volume"]

_MATERIALS = "materials.json"
"""Name of the file of phases that are not of the library."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """A computation in two languages."""

    python: str
    """Program of Python."""
    command: str
    """Lines of a POSIX shell."""


def copied_design(
    targets: Targets,
    *,
    count: int,
    size: int,
    materials: TwoPhase | None = None,
    seed: int = 0,
    components: Sequence[int] = (),
    modes: Sequence[str] = MODE_NAMES,
    corrections: int = 0,
    constraints: Constraints | None = None,
) -> Copied:
    """`vaereg.design` and the command `design` for a target; both write `designs.h5`.

    Args:
        targets: What is wanted.
        count: Number of designs.
        size: Voxels per edge.
        materials: Phases; those of the model if left out.
        seed: Seed of all random numbers.
        components: Indices of the modes or components that make designs; none for all.
        modes: Names of the modes of the model, none of a free mixture.
        corrections: Steps of correction.
        constraints: What the designs have to meet besides.

    Raises:
        InputError: Several components of a free mixture are asked for, which the command cannot say.
    """
    limits = Constraints() if constraints is None else constraints
    texts = [_target_text(item) for item in targets if item.is_bounded or item.goal]
    bounded_goals = {
        goal: [item.name for item in targets if item.goal == goal and item.is_bounded]
        for goal in ("max", "min")
    }
    flags, before = _material_flags(materials)
    command = ["vaereg", "design"]
    for text in texts:
        command += ["--target", text]
    for goal, flag in (("max", "--maximize"), ("min", "--minimize")):
        for name in bounded_goals[goal]:
            command += [flag, name]
    command += flags
    if modes:
        for index in components:
            command += ["--mode", modes[index]]
    elif components:
        if len(components) > 1:
            raise InputError(f"expected one component of a free mixture, got {len(components)}")
        command += ["--component", str(components[0])]
    command += _constraint_flags(limits)
    command += ["--count", str(count), "--size", str(size), "--seed", str(seed)]
    command += ["--corrections", str(corrections), "--out", "designs.h5"]

    parse = [f"[{', '.join(_literal(text) for text in texts)}]"]
    parse += [
        f"{name}={bounded_goals[goal]!r}"
        for goal, name in (("max", "maximize"), ("min", "minimize"))
        if bounded_goals[goal]
    ]
    arguments = ["load_checkpoint()", f"parse({', '.join(parse)})", str(count), str(size)]
    if materials is not None:
        arguments.append(f"materials={_pair_code(materials)}")
    arguments.append(f"seed={seed}")
    if components:
        arguments.append(f"component={list(components)!r}")
    arguments.append(f"corrections={corrections}")
    if limits:
        arguments_text = ", ".join(f"{name}={value!r}" for name, value in limits.to_json().items())
        arguments.append(f"constraints=Constraints({arguments_text})")
    names = ["design", "load_checkpoint"] + (["Phase", "TwoPhase"] if materials is not None else [])
    body = "".join(f"    {argument},\n" for argument in arguments)
    python = (
        "from pathlib import Path\n\n"
        f"from vaereg import {', '.join(sorted(names, key=str.casefold))}\n"
        f"from vaereg.inverse import {'Constraints, ' if limits else ''}save_designs\n"
        "from vaereg.targets import parse\n\n"
        f"designs = design(\n{body})\n"
        'save_designs(Path("designs.h5"), designs)\n'
    )
    return Copied(python=python, command=before + shlex.join(command) + "\n")


def copied_volume(
    kind: str, *, materials: TwoPhase | None = None, volume: str = "volume.npy", physics: str = "elastic"
) -> Copied:
    """`homogenize` or `predict` of a volume that was downloaded; the command writes a file of results.

    Args:
        kind: "homogenize" or "predict".
        materials: Phases; the reference pair if left out.
        volume: Name of the file.
        physics: What is solved, as the command takes it.

    Raises:
        InputError: The kind is another.
    """
    if kind not in ("homogenize", "predict"):
        raise InputError(f"expected homogenize or predict, got {kind!r}")
    flags, before = _material_flags(materials)
    command = ["vaereg", kind, volume, *flags]
    if kind == "homogenize" and physics != "elastic":
        command += ["--physics", physics]
    command += ["--out", f"{kind}.json"]
    pair = "" if materials is None else _pair_code(materials)
    names = [] if materials is None else ["Phase", "TwoPhase"]
    if kind == "homogenize":
        call = f"result = homogenize(np.load({_literal(volume)}){', ' + pair if pair else ''})"
        public = ", ".join([*names, "homogenize"])
        head = f"import numpy as np\n\nfrom vaereg import {public}\n"
        python = f"{head}\n{call}\nprint(result.stiffness)\n"
    else:
        loaded = "from vaereg.model.pairs.regressor import load_pair_model, predict_stiffness\n"
        public = "from vaereg import Phase, TwoPhase\n" if names else "from vaereg import TwoPhase\n"
        call = (
            f"told = predict_stiffness(load_pair_model(), [np.load({_literal(volume)})], "
            f"[{pair or 'TwoPhase()'}])"
        )
        python = f"import numpy as np\n\n{public}{loaded}\n{call}\nprint(told.mean[0])\n"
    return Copied(python=python, command=before + shlex.join(command) + "\n")


def _target_text(item: Wanted) -> str:
    """A target as `--target` takes it; an objective with a range has its goal in a flag of its own."""
    return replace(item, goal="").text() if item.goal and item.is_bounded else item.text()


def _material_flags(materials: TwoPhase | None) -> tuple[list[str], str]:
    """Flags of the phases, and the line that writes their file where the library does not have both."""
    if materials is None:
        return [], ""
    names = [_library_name(phase) for phase in (materials.stiff, materials.soft)]
    if all(names):
        return ["--materials", "/".join(names)], ""
    content = json.dumps(materials.to_dict(), ensure_ascii=True)
    return ["--materials", _MATERIALS], f"printf '%s\\n' {shlex.quote(content)} > {_MATERIALS}\n"


def _library_name(phase: Phase) -> str:
    """Name of a material of the library; empty where it is none, or has a slash in its name."""
    try:
        entry = VOID if phase.is_void else phase_by_name(phase.name)
    except InputError:
        return ""
    return entry.name if entry == phase and "/" not in phase.name else ""


def _constraint_flags(constraints: Constraints) -> list[str]:
    flags: list[str] = []
    sizes = constraints.min_feature_stiff, constraints.min_feature_soft
    if any(sizes):
        flags += ["--min-feature", ",".join(f"{size:.10g}" for size in sizes)]
    for phase, axes in constraints.connected.items():
        flags += ["--connected", f"{phase}:{axes}"]
    flags += ["--no-islands"] if constraints.no_islands else []
    flags += ["--no-closed-pores"] if constraints.no_closed_pores else []
    flags += ["--symmetry", constraints.symmetry] if constraints.symmetry != "none" else []
    return flags


def _pair_code(materials: TwoPhase) -> str:
    return f"TwoPhase({_phase_code(materials.stiff)}, {_phase_code(materials.soft)})"


def _phase_code(phase: Phase) -> str:
    plain = [_literal(phase.name), repr(float(phase.young_modulus)), repr(float(phase.poisson_ratio))]
    properties = {field.name: getattr(phase, field.name) for field in fields(Phase)[3:]}
    plain += [f"{name}={float(value)!r}" for name, value in properties.items() if value is not None]
    return f"Phase({', '.join(plain)})"


def _literal(text: str) -> str:
    """A text as Python has it, in ASCII."""
    return ascii(text)
