"""What the parsed flags of a command mean: files of volumes, phases, numbers, device, checkpoint."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeVar

from vaereg.console import tell
from vaereg.errors import InputError

if TYPE_CHECKING:
    from vaereg.io.importing import ImportedVolume
    from vaereg.materials import MaterialChoice, TwoPhase
    from vaereg.model.checkpoint import Checkpoint

__all__ = [
    "device_of",
    "imported_volumes",
    "load_model",
    "materials_of",
    "numbers",
    "pairs_of",
    "phases_given",
]

_Number = TypeVar("_Number", int, float)


def imported_volumes(arguments: argparse.Namespace, *, both_phases: bool = False) -> ImportedVolume:
    """The volumes of a file of the user's, by the flags that say how it is meant."""
    from vaereg.io.importing import Choices, import_volume
    from vaereg.io.readers import RawLayout
    from vaereg.microstructure.segmentation import Segmentation

    raw = None
    if arguments.shape is not None:
        raw = RawLayout(shape=numbers(arguments.shape, int, "--shape"), dtype=arguments.dtype)
    threshold = arguments.threshold
    if threshold not in (None, "otsu"):
        (threshold, *rest) = numbers(threshold, float, "--threshold")
        if rest:
            raise InputError(f"expected one number for --threshold, got {arguments.threshold!r}")
    stiff = None if arguments.labels is None else numbers(arguments.labels, float, "--labels")
    size = None
    if arguments.voxel_size is not None:
        edges = numbers(arguments.voxel_size, float, "--voxel-size")
        if len(edges) not in (1, 3):
            raise InputError(f"expected one or three edges for --voxel-size, got {arguments.voxel_size!r}")
        size = (edges[0], edges[0], edges[0]) if len(edges) == 1 else (edges[0], edges[1], edges[2])
    swap = arguments.phase_order == "stiff-soft"
    return import_volume(
        arguments.volumes,
        Choices(
            raw=raw,
            dataset=arguments.dataset,
            axes=arguments.axes,
            voxel_size=size,
            mirror=arguments.mirror,
            segmentation=Segmentation(threshold=threshold, stiff=stiff, swap=swap),
        ),
        both_phases=both_phases,
    )


def materials_of(arguments: argparse.Namespace) -> TwoPhase:
    """The one pair of phases of the flags."""
    choice = _material_choice(arguments)
    if len(choice.pairs) != 1:
        raise InputError(f"expected one pair of materials, got {len(choice.pairs)} in {arguments.materials}")
    return choice.pairs[0]


def pairs_of(arguments: argparse.Namespace, volumes: int) -> tuple[TwoPhase, ...]:
    """The phases of each volume by the flags."""
    return _material_choice(arguments).per_volume(volumes)


def phases_given(arguments: argparse.Namespace) -> bool:
    """Whether the flags ask for phases other than the reference pair."""
    from vaereg.materials import TwoPhase

    return arguments.materials is not None or _moduli_of(arguments) != TwoPhase()


def _moduli_of(arguments: argparse.Namespace) -> TwoPhase:
    """The pair by its moduli and Poisson ratios alone."""
    from vaereg.materials import TwoPhase

    stiff, soft = (arguments.nu if nu is None else nu for nu in (arguments.nu_stiff, arguments.nu_soft))
    return TwoPhase.from_moduli(
        e_stiff=arguments.e_stiff, e_soft=arguments.e_soft, nu_stiff=stiff, nu_soft=soft
    )


def _material_choice(arguments: argparse.Namespace) -> MaterialChoice:
    from vaereg.materials import MaterialChoice, TwoPhase, choose_materials

    given = _moduli_of(arguments)
    if arguments.materials is not None:
        if given != TwoPhase():
            raise InputError("expected --materials or the moduli and Poisson ratios of the phases, got both")
        choice = choose_materials(arguments.materials)
    elif given != given.ordered():
        note = f"--e-stiff {given.e_stiff:g} is below --e-soft {given.e_soft:g}: the phases are swapped"
        choice = MaterialChoice(pairs=(given.ordered(),), notes=(note,))
    else:
        choice = MaterialChoice(pairs=(given,))
    for note in choice.notes:
        tell(f"materials: {note}")
    return choice


def numbers(text: str, kind: type[_Number], flag: str) -> tuple[_Number, ...]:
    """Numbers with commas between them."""
    try:
        return tuple(kind(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(f"expected numbers for {flag}, got {text!r}") from error


def device_of(arguments: argparse.Namespace) -> str:
    """The device that is asked for, which must be there."""
    if arguments.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("expected a CUDA device for --device cuda, got none on this machine")
    return arguments.device


def load_model(arguments: argparse.Namespace) -> Checkpoint:
    """The checkpoint that is asked for, on the device that is asked for."""
    from vaereg.model.checkpoint import CheckpointError, load_checkpoint

    try:
        return load_checkpoint(arguments.checkpoint, device_of(arguments))
    except CheckpointError as error:  # a file of the user's: bad input, not a failed computation
        raise InputError(str(error)) from error
