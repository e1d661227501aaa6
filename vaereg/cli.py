"""The commands of `python -m vaereg`.

Flags, threads and exit codes; what a command does is in `vaereg.commands`. Exit code 2 says that the input is
bad, 1 that a computation failed, each with one line on stderr. `VAEREG_DEBUG=1` shows the traceback as well;
errors that the program did not expect always show it.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import NoReturn, TypeAlias

from vaereg import commands
from vaereg.arguments import add_material_flags, add_volume_flags
from vaereg.console import Terminated, begin_console, tell
from vaereg.design_arguments import add_constraint_flags, add_design_flags, add_target_flags
from vaereg.errors import InputError
from vaereg.workers import THREAD_VARIABLES

__all__ = ["main"]

_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # pyright: ignore[reportPrivateUsage]
_NEGATIVE = re.compile(r"-[0-9.][-+0-9.,:eE]*")
"""Negative numbers with commas or colons between them."""
_FLAG = re.compile(r"--[a-z][-a-z]*")
_EXPORTS = ("npy", "vti", "stl", "tif", "h5", "abaqus", "fans", "damask", "csv", "json", "html", "zip")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"vaereg: error: {message} (see {self.prog} --help)\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Names the default of a flag where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process if left out.

    Returns:
        Exit code: 0, 1 for a failed computation, 2 for bad input.
    """
    begin_console()
    arguments = _parser().parse_args(_with_negative_values(sys.argv[1:] if argv is None else argv))
    try:
        _set_threads(arguments.threads)
        arguments.run(arguments)
    except (InputError, OSError, ValueError) as error:
        return _fail(error, 2, ours=isinstance(error, ValueError) and not _stated(error))
    except (MemoryError, RuntimeError) as error:
        return _fail(error, 1, ours=isinstance(error, RuntimeError) and not _stated(error))
    except Terminated:
        tell("vaereg: terminated")
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        tell("vaereg: interrupted")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="vaereg", description="Inverse design of two-phase microstructures.")
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_homogenize(parsers)
    _add_predict(parsers)
    _add_design(parsers)
    _add_modes(parsers)
    _add_refine(parsers)
    _add_generate(parsers)
    _add_merge(parsers)
    _add_train(parsers)
    _add_evaluate(parsers)
    _add_export(parsers)
    return parser


def _add_command(
    parsers: _Commands, name: str, run: Callable[[argparse.Namespace], None], description: str
) -> argparse.ArgumentParser:
    parser = parsers.add_parser(
        name,
        help=description,
        description=description,
        formatter_class=_Help,
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of this process (default: the libraries' own)"
    )
    parser.set_defaults(run=run)
    return parser


def _add_homogenize(parsers: _Commands) -> None:
    parser = _add_command(
        parsers, "homogenize", commands.run_homogenize, "effective stiffness of each volume, solved"
    )
    add_volume_flags(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results to write (JSON)")
    add_material_flags(parser)
    parser.add_argument(
        "--physics", default="elastic", metavar="NAMES", help="elastic, thermal, or elastic,thermal"
    )
    parser.add_argument(
        "--element",
        choices=("auto", "hex8", "bbar"),
        default="auto",
        help="element of a voxel: full integration, B-bar, or B-bar above a Poisson ratio of 0.45",
    )
    parser.add_argument("--rtol", type=float, default=1e-6, help="relative residual of the solver [-]")
    _add_device_flag(parser, "where the solver runs")


def _add_predict(parsers: _Commands) -> None:
    parser = _add_command(parsers, "predict", commands.run_predict, "stiffness of each volume, predicted")
    add_volume_flags(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results to write (JSON)")
    add_material_flags(parser)
    _add_model_flags(parser)


def _add_design(parsers: _Commands) -> None:
    parser = _add_command(parsers, "design", commands.run_design, "microstructures for target properties")
    add_target_flags(parser)
    add_design_flags(parser)
    add_constraint_flags(parser)
    add_material_flags(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="designs to write (HDF5), or a folder"
    )
    _add_worker_flags(parser)
    _add_model_flags(parser)


def _add_modes(parsers: _Commands) -> None:
    parser = _add_command(
        parsers,
        "modes",
        commands.run_modes,
        "which morphologies reach a target, and how near the others come",
    )
    add_target_flags(parser)
    add_material_flags(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results to write (JSON)")
    _add_model_flags(parser)


def _add_refine(parsers: _Commands) -> None:
    parser = _add_command(
        parsers, "refine", commands.run_refine, "bring designs onto their target with the solver"
    )
    parser.add_argument("designs", type=Path, metavar="DESIGNS", help="designs with their target (HDF5)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="designs to write (HDF5)")
    parser.add_argument(
        "--tolerance", type=float, default=0.01, metavar="T", help="relative distance that counts as reached"
    )
    parser.add_argument(
        "--max-solves", type=int, default=20, metavar="N", help="solves per design, the verification included"
    )
    add_target_flags(parser)
    add_constraint_flags(parser)
    add_material_flags(parser)
    _add_worker_flags(parser)
    _add_model_flags(parser)


def _add_generate(parsers: _Commands) -> None:
    parser = _add_command(
        parsers, "generate", commands.run_generate, "make volumes and their labels; goes on where it was"
    )
    parser.add_argument("--count", type=int, required=True, metavar="N", help="number of volumes")
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="base seed")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="data set to write (HDF5)")
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="N",
        help="voxels per edge (default: 32); with --morphologies several that share equally (default: a mix)",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--families",
        nargs="+",
        metavar="NAME",
        help="families that share equally, or the name of a mix: gaussian, default (file format 1)",
    )
    kinds.add_argument(
        "--morphologies",
        nargs="+",
        metavar="NAME",
        help="morphologies that share equally, or all: labelled for several pairs of phases (file format 2)",
    )
    _add_worker_flags(parser, os.cpu_count() or 1)
    parser.add_argument(
        "--shard", metavar="I/N", help="make part I of N alone, I from 1 to N; `merge` joins the parts"
    )
    _add_device_flag(parser, "where the solver runs", "cpu")


def _add_merge(parsers: _Commands) -> None:
    parser = _add_command(
        parsers,
        "merge",
        commands.run_merge,
        "join the shards of a data set, as one process would have made it",
    )
    parser.add_argument(
        "shards", type=Path, nargs="+", metavar="SHARD", help="files of all shards, in any order (HDF5)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="data set to write (HDF5)")
    _add_device_flag(parser, "nothing is computed", "cpu")


def _add_train(parsers: _Commands) -> None:
    parser = _add_command(
        parsers, "train", commands.run_train, "train a model on a labelled data set; can be resumed"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="FILE",
        help="data set made by generate, or the folder of its shards; may be repeated",
    )
    source.add_argument(
        "--volumes",
        type=Path,
        metavar="PATH",
        help="your own volumes, a file or a folder of files: solved, classed and added to the modes of the "
        "model of --continue-from",
    )
    parser.add_argument(
        "--mode",
        metavar="NAME",
        help="mode of your own volumes; a new name makes a mode of them (default: as they are recognised)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    settings = parser.add_mutually_exclusive_group()
    settings.add_argument(
        "--preset", default="default", metavar="NAME", help="settings by name; modes trains named modes"
    )
    settings.add_argument("--config", type=Path, metavar="FILE", help="settings from a JSON file")
    parser.add_argument("--minutes", type=float, metavar="M", help="fit the schedule into this wall time")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    parser.add_argument(
        "--continue-from",
        type=Path,
        metavar="FILE",
        dest="checkpoint",
        help="begin with a trained model; what stays as it is depends on the settings: with the preset "
        "continued its prior and decoder, otherwise its encoder and regressor",
    )
    _add_device_flag(parser)


def _add_evaluate(parsers: _Commands) -> None:
    parser = _add_command(
        parsers,
        "evaluate",
        commands.run_evaluate,
        "test figures of a model, its designs checked by the solver",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="data set made by generate")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="figures to write (JSON)")
    parser.add_argument("--split", default="test", metavar="NAME", help="train, validation or test")
    parser.add_argument("--targets", type=int, default=30, metavar="N", help="targets of inverse design")
    parser.add_argument("--count", type=int, default=12, metavar="N", help="designs per target")
    _add_worker_flags(parser)
    parser.add_argument("--card", type=Path, metavar="FILE", help="model card to write (Markdown)")
    parser.add_argument(
        "--baselines", type=Path, metavar="FILE", help="record of benchmarks/baselines.py, for the card"
    )
    add_material_flags(parser)
    _add_model_flags(parser)


def _add_export(parsers: _Commands) -> None:
    parser = _add_command(
        parsers,
        "export",
        commands.run_export,
        "one design as a file of another program or a report, or all of them",
    )
    parser.add_argument(
        "designs", type=Path, metavar="DESIGNS", help="designs made by design or refine (HDF5)"
    )
    parser.add_argument(
        "--index", type=int, metavar="I", help="which design, from 0 (for a zip or a report: default all)"
    )
    parser.add_argument("--format", choices=_EXPORTS, required=True, help="kind of file; fans writes two")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--voxel-size", type=float, default=1.0, metavar="L", help="edge of a voxel in any unit of length"
    )
    parser.add_argument(
        "--length-unit", default="", metavar="UNIT", help="that unit, such as µm: lengths are told in it, too"
    )
    add_material_flags(parser)
    _add_device_flag(parser, "nothing is computed", "cpu")


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="trained model (default: the shipped one)"
    )
    _add_device_flag(parser)


def _add_worker_flags(parser: argparse.ArgumentParser, count: int = 2) -> None:
    parser.add_argument(
        "--workers", type=int, default=count, metavar="N", help="processes of one thread each"
    )
    parser.add_argument(
        "--scheduler", metavar="URL", help="Dask scheduler tcp://HOST:PORT whose workers do the work instead"
    )


def _add_device_flag(
    parser: argparse.ArgumentParser, help: str = "where the networks run", *choices: str
) -> None:
    parser.add_argument("--device", choices=choices or ("cpu", "cuda"), default="cpu", help=help)


def _set_threads(threads: int | None) -> None:
    """Limit the threads of the libraries that are not imported yet."""
    if threads is None:
        return
    if threads < 1:
        raise InputError(f"expected at least one thread, got {threads}")
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)


def _with_negative_values(argv: Sequence[str]) -> list[str]:
    """The same arguments with `--flag -1,0` as `--flag=-1,0`: argparse takes only single numbers for
    values.
    """
    joined: list[str] = []
    for word in argv:
        if joined and _NEGATIVE.fullmatch(word) and _FLAG.fullmatch(joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _stated(error: BaseException) -> bool:
    """Whether this package states the error itself, as against one of a library that it did not expect."""
    if isinstance(error, InputError | BrokenExecutor):
        return True
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__", "")).startswith("vaereg")


def _fail(error: BaseException, code: int, *, ours: bool) -> int:
    """Say in a line what is wrong; a fault of the program's own has its traceback and exit code 1."""
    if ours or os.environ.get("VAEREG_DEBUG") == "1":
        tell("".join(traceback.format_exception(error)).rstrip())
    message = " ".join(str(error).split()) or type(error).__name__
    tell(f"vaereg: error: {message}")
    return 1 if ours else code
