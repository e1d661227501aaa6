"""Refinements that a session asked for as plain data: their tasks and progress, tables and files.

The module is free of any user interface. A run brings designs of one target onto it, the most promising
first. It keeps the progress of its tasks, so that nothing is lost when the solver's queue forgets them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pages.parts.common.requests.modes import component_kind, component_title
from pages.parts.common.requests.order import checkpoint_path
from pages.parts.common.requests.quantities import (
    OF_VOXELS,
    axis_title,
    guaranteed_text,
    missing_property,
    signed_deviations,
    wanted_text,
)
from pages.parts.common.text import counted
from pages.parts.common.views.cards import largest_first
from pages.parts.design.refining.figures import Curve
from pages.parts.solving.tasks import Progress, RefineTask, Task
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.designs import Designs, save_designs, with_volumes
from vaereg.inverse.refining.redrawing import origins_of
from vaereg.inverse.refining.refinement import VERIFICATION_RTOL, Refinement
from vaereg.inverse.refining.search import DRAWN, Drawn
from vaereg.microstructure.statistics import within_component
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import CellProperties
from vaereg.targets.enclosure import quantity_enclosure

if TYPE_CHECKING:  # the first designs of a server do not wait for it
    import pandas as pd

__all__ = [
    "MAX_RUNS",
    "Entry",
    "Run",
    "add_run",
    "begin_run",
    "cancelled",
    "comparison_table",
    "curves",
    "gone_on",
    "refined_file",
    "refreshed",
    "run_table",
]

MAX_RUNS = 8
"""Largest number of runs that a session keeps."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Entry:
    """One design of a run."""

    index: int
    """Index among the designs, from 0."""
    task: RefineTask
    progress: Progress = field(default_factory=lambda: Progress(status="waiting"))
    """State of the task when the queue was last asked."""
    cancelled: bool = False
    """Whether the user ended it before it was done."""
    drawn: Drawn | None = None
    """What the volume of the task was decoded from, where a former run drew it in place of the design."""

    @property
    def result(self) -> Refinement | None:
        """Result of the refinement, once it is done."""
        return self.progress.result if isinstance(self.progress.result, Refinement) else None

    @property
    def decoded_from(self) -> Drawn | None:
        """What the refined volume was decoded from, if that is not what the design was."""
        drawn = None if self.result is None else self.result.drawn
        return self.drawn if drawn is None else drawn

    @property
    def begun_words(self) -> str:
        """Where the refined volume comes from, if not from the design by flips alone; empty otherwise."""
        if self.result is None:
            return ""
        return DRAWN if self.decoded_from else self.result.begun_words

    @property
    def unfinished(self) -> bool:
        """Whether the solver has work to do for it."""
        return not self.cancelled and self.progress.status in ("waiting", "running")

    @property
    def solves(self) -> int:
        """Solves so far."""
        return len(self.progress.history)

    @property
    def status(self) -> str:
        """Status in words."""
        if self.cancelled:
            return "cancelled"
        if self.progress.status == "forgotten":
            return "done, its result is no longer kept"
        if self.result is None:
            return self.progress.status
        if self.result.converged:
            return "reached"
        stalled = " (stalled)" if self.result.stalled else ""
        return f"not reached{stalled} after {counted(self.solves, 'solve')}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Run:
    """Designs of one target that are brought onto it."""

    number: int
    """Counts the runs of a session, from 1."""
    designs: Designs
    """All designs that were shown when it was asked for."""
    origin: str
    """Origin of the designs in words, such as "seed 3"."""
    tolerance: float
    """Relative distance that counts as reached [-]."""
    max_solves: int
    """Largest number of solves of a design."""
    entries: tuple[Entry, ...]
    """The designs that were chosen, the most promising first."""
    usual: float | None
    """Mean distance of the two-point statistics of two shown designs of one component [-], or None."""

    @property
    def name(self) -> str:
        """Name that is equal for runs of equal tasks."""
        return " ".join(sorted(entry.task.name for entry in self.entries))

    @property
    def unfinished(self) -> bool:
        """Whether the solver has work to do for it."""
        return any(entry.unfinished for entry in self.entries)

    @property
    def done(self) -> list[Entry]:
        """Designs whose refinement is done, on target or not."""
        return [entry for entry in self.entries if entry.result is not None]

    @property
    def reached(self) -> list[Entry]:
        """Designs that are on target."""
        return [entry for entry in self.entries if entry.result is not None and entry.result.converged]

    @property
    def solves(self) -> int:
        """Solves of all designs so far."""
        return sum(entry.solves for entry in self.entries)


def begin_run(
    designs: Designs,
    chosen: Sequence[int],
    *,
    number: int,
    origin: str,
    tolerance: float,
    max_solves: int,
) -> Run:
    """Return the run that brings designs onto their target.

    Args:
        designs: What is shown.
        chosen: Which of them, from 0; all where none is.
        number: Of the run in its session.
        origin: What the designs are, in words.
        tolerance: Relative distance that counts as reached [-].
        max_solves: Largest number of solves of a design.
    """
    wanted = np.array(sorted(chosen) or range(len(designs.component)))
    order = wanted[np.argsort(designs.mean_distance[wanted], kind="stable")]
    origins = origins_of(designs, checkpoint_path())
    return Run(
        number=number,
        designs=designs,
        origin=origin,
        tolerance=tolerance,
        max_solves=max_solves,
        entries=tuple(
            Entry(
                index=index,
                task=RefineTask(
                    volume=designs.microstructures[index],
                    targets=designs.wanted,
                    materials=designs.materials,
                    tolerance=tolerance,
                    max_solves=max_solves,
                    constraints=designs.constraints or None,
                    origin=origins[index],
                ),
            )
            for index in order.tolist()
        ),
        usual=within_component(designs.microstructures, designs.component),
    )


def gone_on(run: Run, *, number: int, more: int) -> Run:
    """Return a run that goes on with the designs that are not on target, from where they are.

    Args:
        run: A run that is finished.
        number: Of the new run in its session.
        more: Largest number of further solves of a design.
    """
    rest = [entry for entry in run.entries if entry not in run.reached]
    entries = tuple(
        Entry(
            index=entry.index,
            task=replace(
                entry.task,
                volume=entry.task.volume if entry.result is None else entry.result.volume,
                max_solves=more,
            ),
            drawn=entry.decoded_from,
        )
        for entry in rest
    )
    return replace(run, number=number, origin=f"{run.origin}, gone on", max_solves=more, entries=entries)


def add_run(runs: Sequence[Run], run: Run) -> list[Run]:
    """Return runs with a new one at the end, in place of a run of equal tasks; few finished runs are kept."""
    kept = [former for former in runs if former.name != run.name]
    surplus = [former for former in kept if not former.unfinished][: max(0, len(kept) + 1 - MAX_RUNS)]
    return [*(former for former in kept if former not in surplus), run]


def refreshed(run: Run, look: Callable[[Task], Progress | None]) -> Run:
    """Return a run with the progress of its tasks; a task that the queue does not have is cancelled."""
    entries = []
    for entry in run.entries:
        if entry.unfinished:
            seen = look(entry.task)
            entry = replace(entry, cancelled=True) if seen is None else replace(entry, progress=seen)
        entries.append(entry)
    return replace(run, entries=tuple(entries))


def cancelled(run: Run) -> Run:
    """Return a run whose unfinished designs are given up; their solves so far stay."""
    return replace(run, entries=tuple(replace(e, cancelled=e.cancelled or e.unfinished) for e in run.entries))


def curves(run: Run) -> list[Curve]:
    """Return the curve of largest distance against solves of every design."""
    return [
        Curve(
            title=f"#{entry.index + 1}",
            status=entry.status,
            errors=[step.largest_distance for step in entry.progress.history],
            component=int(run.designs.component[entry.index]),
            verified=entry.result is not None,
        )
        for entry in run.entries
    ]


def run_table(run: Run, checkpoint: Checkpoint) -> pd.DataFrame:
    """Return a table with a row per design: status, solves, distances, changes."""
    import pandas as pd

    kind, made_by = component_kind(checkpoint).capitalize(), run.designs.checkpoint
    rows = []
    for entry in run.entries:
        history, result = entry.progress.history, entry.result
        rows.append(
            {
                "Design": f"#{entry.index + 1}",
                kind: component_title(
                    checkpoint, int(run.designs.component[entry.index]), made_by=made_by
                ).removeprefix("Component "),
                "Status": entry.status,
                "Solves": entry.solves,
                "Largest deviation before, solver [%]": 100 * history[0].largest_distance
                if history
                else np.nan,
                "Largest deviation after, verified [%]": 100 * result.largest_distance if result else np.nan,
                "Voxels changed [%]": 100 * result.changed if result else np.nan,
                "Two-point statistics moved [-]": result.moved if result else np.nan,
                "Went on from": _begun(entry),
                "Why it failed": "" if entry.progress.error is None else str(entry.progress.error),
            }
        )
    table = pd.DataFrame(rows)
    unused = [name for name in ("Went on from", "Why it failed") if not any(row[name] for row in rows)]
    return table.drop(columns=unused)


def _begun(entry: Entry) -> str:
    """What a refined volume comes from in place of the design; empty where it comes from that."""
    if not entry.begun_words:
        return ""
    return "another draw of its mode" if entry.decoded_from else "its interface moved at random"


def comparison_table(run: Run, entry: Entry, bounds: Sequence[NDArray[np.float64]] = ()) -> pd.DataFrame:
    """Return a table of a refined design before and after: what is asked for, the farthest off first, then
    fraction, density and the diagonal of the stiffness.

    Args:
        run: What was asked for.
        entry: The design.
        bounds: Guaranteed lower and upper bound of its stiffness after, shape (6, 6) [GPa] each; none where
            only the phases and the fraction bound it.
    """
    import pandas as pd

    result = entry.result
    if result is None:
        raise ValueError("expected a design that is through, got one that is not")
    targets, pair, first = run.designs.wanted, run.designs.materials, entry.progress.history[0]
    asked = largest_first(targets, result.properties, 0)
    others = [name for name in (*OF_VOXELS, *PROPERTIES) if name not in asked]
    others = [name for name in others if not missing_property(name, pair)]
    before = dict(zip(PROPERTIES, first.properties.tolist(), strict=True))
    before |= dict(zip(targets.names, first.quantities.tolist(), strict=True))
    start = CellProperties.from_diagonal(
        first.properties[None], [entry.task.volume.mean(dtype=np.float64)], pair
    )
    known = [name for name in OF_VOXELS if name in (*asked, *others)]
    before |= dict(zip(known, start.values(known)[0].tolist(), strict=True))
    after = dict(zip([*asked, *others], result.properties.values([*asked, *others])[0].tolist(), strict=True))
    signed = signed_deviations(targets, result.properties)[0]
    off = dict(zip(targets.names, signed.tolist(), strict=True))
    items = {item.name: item for item in targets}
    fraction = float(result.properties.fraction[0])
    ends = dict(
        zip(
            (*asked, *others),
            quantity_enclosure([*asked, *others], fraction, pair, *bounds).tolist(),
            strict=True,
        )
    )
    rows = []
    for name in (*asked, *others):
        rows.append(
            {
                "Quantity": axis_title(name),
                "Target": wanted_text(items[name], unit=False) if name in items else "free",
                "Before, solver": before[name],
                "After, verified": after[name],
                "Off target [%]": 100 * off[name] if name in off else np.nan,
                "Guaranteed": guaranteed_text(name, *ends[name]),
            }
        )
    return pd.DataFrame(rows)


def refined_file(checkpoint: Checkpoint, run: Run) -> bytes:
    """Return the refined designs as `designs.h5`, with verified stiffness and number of solves."""
    done = run.done
    results = [entry.result for entry in done if entry.result is not None]
    designs = with_volumes(
        checkpoint,
        run.designs,
        np.stack([result.volume for result in results]),
        [entry.index for entry in done],
        [entry.decoded_from for entry in done],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "designs.h5"
        save_designs(
            path,
            designs,
            stiffness=np.stack([result.stiffness for result in results]),
            solver_tolerance=VERIFICATION_RTOL,
            solver_dtype="float64",
            solves=np.array([result.solves for result in results], dtype=np.int64),
        )
        return path.read_bytes()
