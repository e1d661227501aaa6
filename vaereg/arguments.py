"""What the parsed flags of a command mean: files of volumes, phases, numbers, device, checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vaereg.console import tell
from vaereg.errors import InputError

if TYPE_CHECKING:
    from vaereg.io.importing import ImportedVolume
    from vaereg.materials import MaterialChoice, TwoPhase
    from vaereg.model.checkpoint import Checkpoint
    from vaereg.model.pairs.regressor import PairModel

__all__ = [
    "add_material_flags",
    "add_volume_flags",
    "device_of",
    "imported_volumes",
    "load_model",
    "load_pairs",
    "materials_of",
    "numbers",
    "pairs_of",
    "phases_given",
]

_Number = TypeVar("_Number", int, float)


_VOLUMES_HELP = (
    "volumes of 0 (soft) and 1 (stiff), shape (X, Y, Z) or (N, X, Y, Z): .npy, .npz, .h5, .hdf5, .dream3d, "
    ".tif, .tiff, .vti, .vtk, .mat, .nrrd, .mha, .mhd, .raw, or a folder or .zip of slices, at most 512³ "
    "voxels in all"
)


def add_volume_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name a file of volumes and say how it is meant."""
    parser.add_argument("volumes", type=Path, metavar="VOLUMES", help=_VOLUMES_HELP)
    parser.add_argument(
        "--dataset", metavar="NAME", help="array in the file, where it holds several that could be volumes"
    )
    parser.add_argument(
        "--threshold", metavar="T", help="grey values above T are stiff; otsu chooses T (Otsu 1979)"
    )
    parser.add_argument("--labels", metavar="A,B", help="labels that are stiff, all others being soft")
    parser.add_argument(
        "--phase-order",
        choices=("soft-stiff", "stiff-soft"),
        default="soft-stiff",
        help="what 0 and 1 are, after threshold or labels",
    )
    parser.add_argument(
        "--axes",
        metavar="LETTERS",
        help="stored axes, as zyx, or nzyx for several volumes (default: the file's)",
    )
    parser.add_argument(
        "--voxel-size", metavar="HX,HY,HZ", help="edges of a voxel, or one number (default: the file's)"
    )
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="join every volume with its mirror images: for scans, not periodic",
    )
    parser.add_argument("--shape", metavar="X,Y,Z", help="voxels of a .raw file, the last axis fastest")
    parser.add_argument("--dtype", default="uint8", metavar="TYPE", help="type of a .raw file, such as >u2")


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
        (threshold, *limits) = numbers(threshold, float, "--threshold")
        if limits:
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

    pair = _moduli_of(arguments)
    if arguments.materials is not None:
        if pair != TwoPhase():
            raise InputError("expected --materials or the moduli and Poisson ratios of the phases, got both")
        choice = choose_materials(arguments.materials)
    elif pair != pair.ordered():
        note = f"--e-stiff {pair.e_stiff:g} is below --e-soft {pair.e_soft:g}: the phases are swapped"
        choice = MaterialChoice(pairs=(pair.ordered(),), notes=(note,))
    else:
        choice = MaterialChoice(pairs=(pair,))
    for note in choice.notes:
        tell(f"materials: {note}")
    return choice


def add_material_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that say which phases the volumes have."""
    parser.add_argument(
        "--materials",
        metavar="FILE",
        help="the two phases: a file in JSON, or names of the library such as E-glass/epoxy",
    )
    parser.add_argument(
        "--e-stiff", type=float, default=120.0, metavar="E", help="Young's modulus of phase 1 [GPa]"
    )
    parser.add_argument(
        "--e-soft", type=float, default=2.4, metavar="E", help="Young's modulus of phase 0 [GPa]"
    )
    parser.add_argument("--nu", type=float, default=0.3, help="Poisson ratio of both phases [-]")
    parser.add_argument(
        "--nu-stiff", type=float, metavar="NU", help="Poisson ratio of phase 1 [-], if another"
    )
    parser.add_argument(
        "--nu-soft", type=float, metavar="NU", help="Poisson ratio of phase 0 [-], if another"
    )


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


def load_pairs(arguments: argparse.Namespace) -> PairModel:
    """The regressor for any pair of phases that is asked for."""
    from vaereg.model.checkpoint import CheckpointError
    from vaereg.model.pairs.regressor import load_pair_model

    try:
        return load_pair_model(arguments.checkpoint)
    except CheckpointError as error:  # a file of the user's: bad input, not a failed computation
        raise InputError(str(error)) from error
