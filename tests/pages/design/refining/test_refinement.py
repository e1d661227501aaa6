"""Refinements of a session as plain data: order, status, what is kept, tables, file and figure."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pages.parts.common.sessions.packing import pack, unpack
from pages.parts.design.refining import refinement, runs
from pages.parts.design.refining.figures import Curve, convergence_figure
from pages.parts.design.refining.refinement import (
    Run,
    add_run,
    begin_run,
    cancelled,
    comparison_table,
    curves,
    gone_on,
    refined_file,
    refreshed,
    run_table,
)
from pages.parts.solving.tasks import CallTask, Progress, Task, begin_work
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design
from vaereg.inverse.refining.search import Drawn, Refinement, Step
from vaereg.io.designs import read_designs
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import within_component
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.config import PRESETS
from vaereg.solver.homogenization import homogenize
from vaereg.targets import CellProperties

LATENT = PRESETS["tiny"].model.latent
"""Latent size of the tiny checkpoint."""


@pytest.fixture(scope="module")
def designs(tiny_checkpoint: Checkpoint) -> Designs:
    middle = np.median(tiny_checkpoint.fitted.property_quantiles, axis=0)
    targets = {"C11": float(middle[0]), "C22": (float(0.9 * middle[1]), float(1.1 * middle[1]))}
    return design(tiny_checkpoint, targets, 6, 16)


@pytest.fixture
def begin(designs: Designs) -> Callable[..., Run]:
    def begin(number: int = 1, *chosen: int, tolerance: float = 0.02) -> Run:
        return begin_run(
            designs,
            chosen,
            number=number,
            origin="seed 0",
            tolerance=tolerance,
            max_solves=9,
        )

    return begin


def steps(*errors: float) -> tuple[Step, ...]:
    return tuple(
        Step(
            solves=i,
            largest_distance=error,
            properties=np.arange(6.0) + i,
            quantities=np.arange(2.0) + i,
            flipped=3,
            iterations=9,
        )
        for i, error in enumerate(errors, 1)
    )


def finished(task: Task, error: float = 0.01) -> Progress:
    """A result for a task: its volume with one voxel changed, and the solver's stiffness of it."""
    assert not isinstance(task, CallTask)
    volume = task.volume.copy()
    volume[0, 0, 0] ^= 1
    stiffness = homogenize(volume).stiffness
    fraction = np.array([volume.mean()])
    result = Refinement(
        volume=volume,
        stiffness=stiffness,
        properties=CellProperties(stiffness=stiffness[None], fraction=fraction, materials=TwoPhase()),
        largest_distance=error,
        converged=error <= 0.02,
        stalled=error > 0.1,
        solves=3,
        history=steps(0.3, 0.1, error),
        changed=1 / volume.size,
        moved=0.004,
    )
    return Progress(status="done", history=result.history, result=result)


def drawn_anew(task: Task, error: float = 0.05) -> Progress:
    """A result for a task whose volume was drawn in place of the design."""
    progress = finished(task, error)
    latent = np.full(LATENT, 7.0, dtype=np.float32)
    drawn = Drawn(latent=latent, realisation=9, cut_fraction=0.4, recipe={"class": "grains"})
    result = replace(progress.result, drawn=drawn)
    return replace(progress, result=result)


def test_the_most_promising_is_first(begin: Callable[..., Run], designs: Designs) -> None:
    run = begin()
    assert sorted(entry.index for entry in run.entries) == list(range(6))
    promise = [designs.mean_distance[entry.index] for entry in run.entries]
    assert promise == sorted(promise)
    assert run.usual == within_component(designs.microstructures, designs.component)
    assert sorted(entry.index for entry in begin(1, 4, 2).entries) == [2, 4]
    for entry in run.entries:
        assert entry.task.targets == designs.wanted
        np.testing.assert_array_equal(entry.task.volume, designs.microstructures[entry.index])
        assert (entry.task.tolerance, entry.task.max_solves) == (0.02, 9)
        origin = begin_work(entry.task, "a").argument.origin
        assert origin.component == designs.component[entry.index] and origin.made_by == designs.checkpoint


def test_what_was_seen_is_kept(begin: Callable[..., Run]) -> None:
    """The queue forgets finished tasks in the end; the session does not, and asks no more."""
    run = begin(1, 0, 1, 2, 3, 4)
    names = [entry.task.name for entry in run.entries]
    reference = {
        names[0]: finished(run.entries[0].task),
        names[1]: finished(run.entries[1].task, 0.05),
        names[2]: Progress(status="running", history=steps(0.3)),
        names[3]: Progress(status="failed", error=RuntimeError("no")),
        names[4]: finished(run.entries[4].task, 0.2),
    }
    run = refreshed(run, lambda task: reference.get(task.name))
    assert [entry.status for entry in run.entries] == [
        "reached",
        "not reached after 3 solves",
        "running",
        "failed",
        "not reached (stalled) after 3 solves",
    ]
    assert (run.solves, len(run.reached), len(run.done), run.unfinished) == (10, 1, 3, True)
    run = refreshed(run, lambda task: None)
    assert [entry.status for entry in run.entries][2] == "cancelled"
    assert (run.solves, len(run.done), run.unfinished) == (10, 3, False)


def test_a_result_that_the_queue_forgot_is_not_cancelled(begin: Callable[..., Run]) -> None:
    run = refreshed(begin(1, 0, 1), lambda task: Progress(status="forgotten"))
    assert [entry.status for entry in run.entries] == ["done, its result is no longer kept"] * 2
    assert not run.unfinished and not run.done
    assert next(entry.status for entry in cancelled(run).entries).startswith("done")


def test_cancelling_keeps_what_was_found(begin: Callable[..., Run]) -> None:
    run = begin(1, 0, 1)
    first = run.entries[0].task.name
    run = refreshed(run, lambda task: finished(task) if task.name == first else Progress(status="waiting"))
    run = cancelled(run)
    assert [entry.status for entry in run.entries] == ["reached", "cancelled"]
    assert not run.unfinished
    assert refreshed(run, finished).solves == run.solves  # what goes on for another session is not ours


def test_runs_are_few_and_different(begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement, "MAX_RUNS", 2)
    first, second, third = (begin(i, tolerance=0.01 * i) for i in (1, 2, 3))
    again = begin(4, tolerance=0.01)
    assert [run.number for run in add_run([first, second], again)] == [2, 4]
    assert [run.number for run in add_run([first, second], third)] == [1, 2, 3]  # all at work
    assert [run.number for run in add_run([first, cancelled(second)], third)] == [1, 3]


def test_tables_say_what_changed(
    begin: Callable[..., Run], designs: Designs, tiny_checkpoint: Checkpoint
) -> None:
    run = begin(1, 0, 1)
    with pytest.raises(ValueError, match="through"):
        comparison_table(run, run.entries[0])
    first = run.entries[0].task.name
    run = refreshed(run, lambda task: finished(task) if task.name == first else Progress(status="waiting"))
    entry = run.entries[0]
    assert entry.result is not None
    first_row, second_row = run_table(run, tiny_checkpoint).to_dict("records")
    assert (first_row["Status"], second_row["Status"]) == ("reached", "waiting")
    assert first_row["Largest deviation before, solver [%]"] == pytest.approx(30.0)
    assert first_row["Largest deviation after, verified [%]"] == pytest.approx(1.0)
    assert np.isnan(second_row["Largest deviation after, verified [%]"])
    assert first_row["Voxels changed [%]"] == pytest.approx(100 / 16**3)
    rows = {row["Quantity"]: row for row in comparison_table(run, entry).to_dict("records")}
    assert len(rows) == 7 and all("[" in name for name in rows)
    row = rows["C11 [GPa]"]
    assert row["After, verified"] == entry.result.stiffness[0, 0]
    wanted = designs.targets["C11"]
    assert isinstance(wanted, float)
    assert row["Off target [%]"] == pytest.approx(100 * (row["After, verified"] / wanted - 1))
    assert " to " in rows["C22 [GPa]"]["Target"]
    assert rows["C33 [GPa]"]["Target"] == "free"
    assert np.isnan(rows["C33 [GPa]"]["Off target [%]"])
    assert rows["volume fraction [-]"]["After, verified"] == entry.result.volume.mean()
    off = [abs(row["Off target [%]"]) for row in rows.values()][:2]
    assert off == sorted(off, reverse=True)  # the farthest off first


def test_a_run_goes_on_where_it_was(begin: Callable[..., Run]) -> None:
    run = begin(1, 0, 1, 2)
    names = [entry.task.name for entry in run.entries]
    reference = {names[0]: finished(run.entries[0].task), names[1]: finished(run.entries[1].task, 0.05)}
    run = cancelled(refreshed(run, lambda task: reference.get(task.name)))
    more = gone_on(run, number=2, more=20)
    assert [entry.index for entry in more.entries] == [entry.index for entry in run.entries[1:]]
    assert {entry.task.max_solves for entry in more.entries} == {20} and more.unfinished
    result = run.entries[1].result
    assert result is not None
    np.testing.assert_array_equal(more.entries[0].task.volume, result.volume)
    np.testing.assert_array_equal(more.entries[1].task.volume, run.entries[2].task.volume)


def test_a_volume_that_was_drawn_is_told(
    begin: Callable[..., Run], tiny_checkpoint: Checkpoint, designs: Designs, tmp_path: Path
) -> None:
    """The table and the file are of the volume that took the place of the design, also where it goes on."""
    run = begin(1, 0, 1)
    first = run.entries[0].task.name
    run = refreshed(run, lambda task: drawn_anew(task) if task.name == first else finished(task))
    for told in (run, refreshed(gone_on(run, number=2, more=20), finished)):
        path = tmp_path / "refined.h5"
        path.write_bytes(refined_file(tiny_checkpoint, told))
        latent = read_designs(path).latent
        place = [entry.index for entry in told.entries].index(run.entries[0].index)
        np.testing.assert_array_equal(latent[place], np.full(LATENT, 7.0))
        rows = run_table(told, tiny_checkpoint).to_dict("records")
        assert rows[place]["Went on from"] == "another draw of its mode"
        assert "another volume of its mode" in told.entries[place].begun_words
    other = run.entries[1].index
    path.write_bytes(refined_file(tiny_checkpoint, run))
    np.testing.assert_array_equal(read_designs(path).latent[1], designs.latent[other])


def test_the_file_holds_what_is_through(
    begin: Callable[..., Run], tiny_checkpoint: Checkpoint, designs: Designs, tmp_path: Path
) -> None:
    run = begin()
    left = run.entries[2].task.name
    run = cancelled(
        refreshed(run, lambda task: Progress(status="waiting") if task.name == left else finished(task))
    )
    path = tmp_path / "refined.h5"
    path.write_bytes(refined_file(tiny_checkpoint, run))
    stored = read_designs(path)
    assert len(stored) == 5
    assert stored.stiffness is not None and stored.solves is not None and stored.predicted is not None
    assert stored.solves.tolist() == [3] * 5
    assert stored.target == designs.targets
    for place, entry in enumerate(run.done):
        assert entry.result is not None
        np.testing.assert_array_equal(stored.microstructures[place], entry.result.volume)
        np.testing.assert_array_equal(stored.stiffness[place], entry.result.stiffness)
        np.testing.assert_array_equal(stored.latent[place], designs.latent[entry.index])
        assert stored.component[place] == designs.component[entry.index]
        assert not np.array_equal(stored.predicted[place], designs.mean[entry.index])


@pytest.mark.parametrize("count", [1, 7])
def test_the_figure_has_a_panel_for_each_design(count: int) -> None:
    shown = [
        Curve(title=f"#{i + 1}", status="reached", errors=[0.2, 0.0], component=i, verified=True)
        for i in range(count)
    ]
    waiting = Curve(title="#99", status="waiting", errors=[], component=0, verified=False)
    figure = convergence_figure([*shown, waiting], 0.01).to_plotly_json()
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines+markers"]
    assert len(lines) == count + 1
    assert len({trace.get("xaxis") for trace in lines}) == count + 1
    assert list(lines[0]["customdata"]) == [20.0, 0.0]
    assert min(lines[0]["y"]) > 0.0  # drawn on a logarithmic axis
    assert list(lines[0]["marker"]["symbol"]) == ["circle", "diamond"]
    assert figure["layout"]["yaxis"]["type"] == "log"
    texts = [annotation["text"] for annotation in figure["layout"]["annotations"]]
    assert "<b>#99</b>  waiting" in texts and "largest deviation [%]" in texts
    assert any("tolerance 1 %" in text for text in texts)


def test_curves_are_those_of_the_run(begin: Callable[..., Run]) -> None:
    run = refreshed(begin(1, 3), finished)
    (curve,) = curves(run)
    assert (curve.title, curve.status, curve.verified) == ("#4", "reached", True)
    assert list(curve.errors) == [0.3, 0.1, 0.01]


def test_a_run_is_kept_over_a_restart(begin: Callable[..., Run]) -> None:
    run = begin(1, 0, 1)
    run = refreshed(run, lambda task: drawn_anew(task) if task.name == run.entries[0].task.name else None)
    kept = unpack(pack([run, gone_on(run, number=2, more=5)]), runs._TYPES)[0]
    assert kept.entries[0].task.origin == run.entries[0].task.origin is not None
    decoded_from = kept.entries[0].decoded_from
    assert decoded_from is not None and decoded_from.recipe == {"class": "grains"}
    assert (kept.name, kept.designs.wanted) == (run.name, run.designs.wanted)
    np.testing.assert_array_equal(kept.designs.microstructures, run.designs.microstructures)


def test_a_finished_run_is_kept_over_a_restart(begin: Callable[..., Run]) -> None:
    """The result holds the properties of the cell, too."""
    run = refreshed(begin(1, 3), finished)
    kept = unpack(pack([run]), runs._TYPES)[0]
    found, expected = kept.entries[0].result, run.entries[0].result
    assert found is not None and expected is not None
    np.testing.assert_array_equal(found.properties.stiffness, expected.properties.stiffness)
