"""Longer work for the solver in the background: what can be asked for, and how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.constraints import Constraints
from vaereg.inverse.refining.refinement import (
    MAX_SOLVES,
    TOLERANCE,
    Origin,
    Refinement,
    Search,
    Step,
    advance,
    begin,
)
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.solver.grid_check import MeshCheck, mesh_check
from vaereg.solver.problem import tolerance_for
from vaereg.targets import Target, Targets

__all__ = [
    "MOST_CONTRAST",
    "RTOL",
    "TASK_NAMES",
    "CallTask",
    "MeshTask",
    "Progress",
    "RefineTask",
    "Task",
    "Work",
    "begin_work",
    "progress_bytes",
    "solver_settings",
    "volume_name",
]

RTOL = 1e-3
"""Relative residual of the solver [-], in float32: relative to the Voigt bound, the error of the stiffness is
about its square."""
MOST_CONTRAST = 1000.0
"""Ratio of Young's moduli up to which that is enough: soft cells are far below the bound. Above it the
residual is 1e-6, with a void that of `tolerance_for`, in float64: pieces of a solid that touch at few voxels
need many hundreds of iterations for less."""
MAX_ITERATIONS = 600
"""Largest number of iterations of one solve: a large volume that needs more would block others."""

TASK_NAMES = ("call ", "mesh ", "refine ")
"""How names of tasks begin; those of volumes begin with a hash."""

_SMALL_RESULT_BYTES = 20_000
"""Stiffness and history of a task, which are small beside its volume: estimate [byte]."""

Status = Literal["waiting", "running", "done", "failed", "forgotten"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshTask:
    """Solve a volume on its grid and on one refined by two."""

    volume: NDArray[np.uint8]
    """Two-phase volume, shape (X, Y, Z)."""
    materials: TwoPhase | None = None
    """The two phases; the reference pair if left out."""

    @property
    def name(self) -> str:
        """Equal for equal tasks."""
        return f"mesh {volume_name(self.volume, self.materials)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RefineTask:
    """Bring a volume onto a target; see `vaereg.inverse.refining.refinement`."""

    volume: NDArray[np.uint8]
    """Two-phase volume, shape (X, Y, Z)."""
    targets: Targets | Mapping[str, Target]
    """What is wanted."""
    materials: TwoPhase | None = None
    """The two phases; the reference pair if left out."""
    tolerance: float = TOLERANCE
    """Relative distance that counts as reached [-]."""
    max_solves: int = MAX_SOLVES
    """Largest number of solves."""
    constraints: Constraints | None = None
    """What the volume has to meet besides."""
    origin: Origin | None = None
    """What it was drawn from, where others may be drawn."""

    @property
    def name(self) -> str:
        """Equal for equal tasks."""
        wanted = sorted(Targets.of(self.targets).to_json().items())
        asked = f"{wanted} {self.tolerance} {self.max_solves}"
        if self.constraints:
            asked += f" {self.constraints.to_json()}"
        if self.origin:
            asked += f" {self.origin}"
        return f"refine {volume_name(self.volume, self.materials)} {asked}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CallTask:
    """A call in a worker process."""

    call: Callable[[], object]
    """Function of a module, with its arguments."""
    label: str
    """Text that no other call has."""

    @property
    def name(self) -> str:
        """Equal for equal tasks."""
        return f"call {self.label}"


Task = CallTask | MeshTask | RefineTask


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a task is."""

    status: Status
    """State of the task; a refinement between two solves is running, and a finished task whose result had to
    make room for others is forgotten."""
    history: tuple[Step, ...] = ()
    """Solves of a refinement so far."""
    result: Any = None
    """Result of the task, once it is done: `Refinement`, `MeshCheck` or what a call returned."""
    error: Exception | None = None
    """Error that ended the task."""


@dataclass(slots=True)
class Work:
    """A task under way."""

    call: Callable[[Any], Any]
    """Function of the next job: `advance` a search, or check a mesh."""
    argument: Any
    """The search as far as it is, or the task."""
    sessions: set[str]
    """Who asked for it."""
    begun: bool = False

    @property
    def history(self) -> tuple[Step, ...]:
        """Solves of the refinement so far; none for other tasks."""
        return self.argument.history if isinstance(self.argument, Search) else ()


def begin_work(task: Task, session: str) -> Work:
    """Return the work of a task; raises ValueError where it cannot be done."""
    if isinstance(task, MeshTask):
        return Work(call=_check_mesh, argument=task, sessions={session})
    if isinstance(task, CallTask):
        return Work(call=_call, argument=task, sessions={session})
    search = begin(
        task.volume,
        task.targets,
        task.materials,
        tolerance=task.tolerance,
        max_solves=task.max_solves,
        constraints=task.constraints,
        solve_first=True,
        origin=task.origin,
    )
    return Work(call=advance, argument=search, sessions={session})


def progress_bytes(progress: Progress) -> int:
    """Size of what a finished task keeps in memory [byte], nearly."""
    if not isinstance(progress.result, Refinement):
        return _SMALL_RESULT_BYTES
    return progress.result.volume.nbytes + _SMALL_RESULT_BYTES


def volume_name(volume: NDArray[np.uint8], materials: TwoPhase | None) -> str:
    """Hash of a two-phase volume, and of its materials."""
    return f"{volume_hash(volume)} {materials or TwoPhase()}"


def solver_settings(materials: TwoPhase | None) -> dict[str, Any]:
    """Residual, floating point numbers and iterations that the solver is to use for a pair of phases."""
    pair = materials or TwoPhase()
    coarse = 1.0 / MOST_CONTRAST <= pair.contrast <= MOST_CONTRAST
    if coarse:
        return {"max_iter": MAX_ITERATIONS, "rtol": RTOL, "dtype": np.float32}
    rtol = tolerance_for(pair) if pair.has_void else 1e-6
    return {"max_iter": MAX_ITERATIONS, "rtol": rtol, "dtype": np.float64}


def _call(task: CallTask) -> object:
    return task.call()


def _check_mesh(task: MeshTask) -> MeshCheck:
    return mesh_check(task.volume, task.materials, **solver_settings(task.materials))
