"""What each command of `python -m vaereg` does, given its parsed flags.

Heavy modules are imported by the command that needs them, after the number of threads is set. Results go to
files, progress to stderr; bad input raises ValueError or OSError, a failed computation RuntimeError.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaereg.arguments import device_of, imported_volumes, load_model, materials_of, pairs_of
from vaereg.console import tell
from vaereg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaereg.io.importing import ImportedVolume
    from vaereg.materials import TwoPhase
    from vaereg.solver.homogenization import HomogenizationResult

__all__ = [
    "progress",
    "run_design",
    "run_evaluate",
    "run_export",
    "run_generate",
    "run_homogenize",
    "run_predict",
    "run_refine",
    "run_train",
    "write_json",
]


def run_homogenize(arguments: argparse.Namespace) -> None:
    """Solve every volume of a file."""
    import numpy as np

    from vaereg.elasticity import VOIGT_ORDER
    from vaereg.io.files import check_output
    from vaereg.io.provenance import describe_run
    from vaereg.microstructure.volume import volume_fraction
    from vaereg.solver.homogenization import ConvergenceError, homogenize
    from vaereg.solver.properties import elastic_properties, parse_physics, thermal_properties

    device = device_of(arguments)
    physics = parse_physics(arguments.physics)
    check_output(arguments.out, arguments.volumes)
    imported = imported_volumes(arguments)
    volumes = imported.volumes
    size = None if imported.cubes else imported.voxel_size
    pairs = pairs_of(arguments, len(volumes))
    _tell_reading("homogenize", arguments.volumes, imported)
    _tell_seams("homogenize", imported)
    options: dict[str, Any] = {"rtol": arguments.rtol, "voxel_size": size}

    def solve(volume: NDArray[np.uint8], materials: TwoPhase) -> HomogenizationResult:
        if device == "cpu":
            return homogenize(volume, materials, element=arguments.element, raise_on_failure=False, **options)
        from vaereg.solver.torch_solver import homogenize_on

        return homogenize_on(device, volume, materials, element=arguments.element, **options)

    report = progress("homogenize", "volumes")
    results: list[dict[str, Any]] = []
    for volume, materials in zip(volumes, pairs, strict=True):
        report(len(results), len(volumes))
        fraction = volume_fraction(volume)
        entry: dict[str, Any] = {"volume_fraction": fraction}
        if "elastic" in physics:
            result = solve(volume, materials)
            if arguments.mirror:  # what repeating the cell as it is would give: how much the jump matters
                x, y, z = (length // 2 for length in volume.shape)
                periodic = solve(volume[:x, :y, :z], materials)
                largest = max(float(result.stiffness.max()), float(np.finfo(np.float64).tiny))  # 0: all void
                change = float(np.abs(periodic.stiffness - result.stiffness).max()) / largest
                entry["periodic"] = {"stiffness": periodic.stiffness.tolist(), "largest_change": change}
                tell(
                    f"homogenize: repeated instead of mirrored, volume {len(results)} differs by up to "
                    f"{100 * change:.1f} % of its largest stiffness"
                )
            entry |= {
                "stiffness": result.stiffness.tolist(),
                "iterations": result.iterations,
                "residual": result.residual,
                "converged": result.converged,
                "element": result.element,
                "unloaded": list(result.unloaded),
                **elastic_properties(result.stiffness, fraction, materials),
            }
        if "thermal" in physics:
            entry |= thermal_properties(volume, materials, **options)
        results.append(entry)
    report(len(results), len(volumes))
    if "thermal" in physics and not all("conductivity" in entry for entry in results):
        tell("homogenize: conductivity is left out where a phase has none")
    content: dict[str, Any] = {
        **describe_run(pairs, tolerance=arguments.rtol, dtype="float64"),
        "units": "GPa",
        "order": list(VOIGT_ORDER),
        "read_as": imported.read_as.to_json(),
        "results": results,
    }
    write_json(arguments.out, content)
    failed = sum(
        not (entry.get("converged", True) and entry.get("conduction", {}).get("converged", True))
        for entry in results
    )
    if failed:
        raise ConvergenceError(f"{failed} of {len(results)} volumes did not converge to {arguments.rtol:g}")


def run_predict(arguments: argparse.Namespace) -> None:
    """Predict every volume of a file."""
    from vaereg.elasticity import PROPERTIES
    from vaereg.io.files import check_output
    from vaereg.io.importing import to_cubes
    from vaereg.io.provenance import describe_run
    from vaereg.materials import TwoPhase
    from vaereg.model.prediction import predict

    check_output(arguments.out, arguments.volumes)
    imported = imported_volumes(arguments, both_phases=True)
    if not imported.cubes:
        imported = to_cubes(imported)
    volumes = imported.volumes
    if arguments.materials is not None or materials_of(arguments) != TwoPhase():
        _predict_pairs(arguments, imported)
        return
    checkpoint = load_model(arguments)
    prediction = predict(checkpoint, volumes, on_progress=progress("predict", "volumes"))
    _tell_reading("predict", arguments.volumes, imported)
    _tell_seams("predict", imported)
    results = []
    for i in range(len(volumes)):
        results.append(
            {
                "properties": {
                    name: {"mean": float(prediction.mean[i, j]), "std": float(prediction.std[i, j])}
                    for j, name in enumerate(PROPERTIES)
                },
                "volume_fraction": float(prediction.volume_fraction[i]),
                "in_distribution": bool(prediction.in_distribution[i]),
                "novelty": float(prediction.novelty[i]),
            }
        )
    content: dict[str, Any] = {
        **describe_run(checkpoint.model.materials, checkpoint=checkpoint.hash),
        "units": "GPa",
        "read_as": imported.read_as.to_json(),
        "results": results,
    }
    write_json(arguments.out, content)


def _predict_pairs(arguments: argparse.Namespace, imported: ImportedVolume) -> None:
    """Predict the full stiffness for any pair of phases."""
    import numpy as np

    from vaereg.elasticity import PROPERTIES, VOIGT_ORDER
    from vaereg.io.provenance import describe_run
    from vaereg.model.checkpoint import CheckpointError
    from vaereg.model.pair_model import (
        CONDUCTION_RESIDUAL,
        RESIDUAL,
        engineering_spread,
        load_pair_model,
        predict_stiffness,
    )
    from vaereg.solver.conduction import conduct

    pairs = pairs_of(arguments, len(imported.volumes))
    try:
        model = load_pair_model(arguments.checkpoint)
    except CheckpointError as error:  # a file of the user's: bad input, not a failed computation
        raise InputError(str(error)) from error
    report = progress("predict", "volumes")
    prediction = predict_stiffness(model, list(imported.volumes), pairs, on_progress=report)
    _tell_reading("predict", arguments.volumes, imported)
    results: list[dict[str, Any]] = []
    for i, pair in enumerate(pairs):
        mean, std, fraction = prediction.mean[i], prediction.std[i], float(imported.volumes[i].mean())
        result: dict[str, Any] = {
            "properties": {
                name: {"mean": float(mean[j, j]), "std": float(std[j, j])}
                for j, name in enumerate(PROPERTIES)
            },
            "stiffness": {
                "mean": mean.tolist(),
                "std": std.tolist(),
                "lower": prediction.lower[i].tolist(),
                "upper": prediction.upper[i].tolist(),
            },
            "engineering": {
                name: {"mean": value, "std": spread}
                for name, (value, spread) in engineering_spread(mean, std).items()
            },
            "volume_fraction": fraction,
            "iterations": int(prediction.iterations[i]),
            "residual": float(prediction.residual[i]),
            "in_distribution": bool(prediction.in_distribution[i]),
            "novelty": float(prediction.novelty[i]),
        }
        if pair.stiff.conductivity is not None and pair.soft.conductivity is not None:
            solved = conduct(imported.volumes[i], pair, rtol=CONDUCTION_RESIDUAL, dtype=np.float32)
            result["conductivity"] = {"mean": solved.conductivity.tolist()}
        if pair.stiff.density is not None and pair.soft.density is not None:
            result["density"] = fraction * pair.stiff.density + (1.0 - fraction) * pair.soft.density
        results.append(result)
    content: dict[str, Any] = {
        **describe_run(pairs, tolerance=RESIDUAL, dtype="float32", checkpoint=model.hash),
        "units": "GPa",
        "order": list(VOIGT_ORDER),
        "read_as": imported.read_as.to_json(),
        "results": results,
    }
    write_json(arguments.out, content)


def run_design(arguments: argparse.Namespace) -> None:
    """Make designs for a target."""
    from vaereg.inverse.direct import design, save_designs
    from vaereg.io.files import check_output
    from vaereg.targets import parse_target

    targets = {}
    for text in arguments.target:
        name, value = parse_target(text)
        if name in targets:
            raise InputError(f"expected one target for {name}, got two")
        targets[name] = value
    check_output(arguments.out)
    checkpoint = load_model(arguments)
    designs = design(
        checkpoint,
        targets,
        arguments.count,
        arguments.size,
        seed=arguments.seed,
        component=arguments.component,
        on_progress=progress("design", "candidates"),
    )
    save_designs(arguments.out, designs, materials=checkpoint.model.materials)


def run_refine(arguments: argparse.Namespace) -> None:
    """Bring designs onto their target."""
    import numpy as np

    from vaereg.elasticity import PROPERTIES
    from vaereg.inverse.refinement import VERIFICATION_RTOL, refine_all
    from vaereg.io.designs import read_designs, write_designs
    from vaereg.io.files import check_output
    from vaereg.microstructure.statistics import within_component
    from vaereg.model.prediction import MIN_EDGE, predict
    from vaereg.targets import target_distance

    check_output(arguments.out, arguments.designs)
    stored = read_designs(arguments.designs)
    if min(stored.microstructures.shape[1:]) < MIN_EDGE:
        raise InputError(
            f"expected designs of at least {MIN_EDGE} voxels per edge, got {stored.microstructures.shape[1:]}"
        )
    checkpoint = load_model(arguments)
    predictable = {name: value for name, value in stored.target.items() if name in PROPERTIES}
    promise = np.zeros(len(stored))
    if predictable and stored.predicted is not None:
        promise = target_distance(stored.predicted, predictable)
    results = refine_all(
        stored.microstructures,
        stored.target,
        checkpoint.model.materials,
        order=np.argsort(promise, kind="stable").tolist(),
        tolerance=arguments.tolerance,
        max_solves=arguments.max_solves,
        workers=arguments.workers,
        on_progress=progress("refine", "designs"),
    )
    volumes = np.stack([result.volume for result in results])
    write_designs(
        arguments.out,
        microstructures=volumes,
        component=stored.component,
        latent=stored.latent,
        predicted=predict(checkpoint, volumes).mean,
        target=stored.target,
        seed=stored.seed,
        made_by=stored.made_by,
        judged_by=checkpoint.hash,
        materials=checkpoint.model.materials,
        stiffness=np.stack([result.stiffness for result in results]),
        solver_tolerance=np.full(len(results), VERIFICATION_RTOL),
        solver_dtype=["float64"] * len(results),
        solves=np.array([result.solves for result in results]),
    )
    spread = within_component(stored.microstructures, stored.component)
    usual = "" if spread is None else f" (two designs of one component differ by {spread:.4f})"
    solves, moved = ([getattr(result, name) for result in results] for name in ("solves", "moved"))
    tell(
        f"refine: {sum(solves)} solves, median {np.median(solves):g} per design; two-point statistics "
        f"moved by {np.median(moved):.4f}{usual}"
    )
    if checkpoint.hash != stored.made_by:
        tell(
            f"refine: the designs are of the checkpoint {stored.made_by}, the predictions and materials "
            f"of {checkpoint.hash}"
        )
    if missed := [result for result in results if not result.converged]:
        least = min(result.largest_distance for result in missed)
        tell(
            f"refine: {len(missed)} of {len(results)} designs are not there yet: "
            f"more than {100 * arguments.tolerance:g} % off the target after up to {arguments.max_solves} "
            f"solves, the nearest {100 * least:.2g} %"
        )


def run_generate(arguments: argparse.Namespace) -> None:
    """Make a labelled data set."""
    from vaereg.errors import InputError
    from vaereg.training.labelling import generate_dataset
    from vaereg.training.morphology_labels import generate_morphologies

    if arguments.morphologies:
        generate_morphologies(
            arguments.out,
            arguments.count,
            arguments.seed,
            sizes=arguments.size,
            morphologies=_names(arguments.morphologies),
            workers=arguments.workers,
            on_progress=progress("generate", "volumes"),
        )
        return
    sizes = arguments.size or [32]
    if len(sizes) != 1:
        raise InputError(f"expected one size, got {len(sizes)}; several need --morphologies")
    generate_dataset(
        arguments.out,
        arguments.count,
        arguments.seed,
        size=sizes[0],
        families=_names(arguments.families),
        workers=arguments.workers,
        on_progress=progress("generate", "volumes"),
    )


def run_train(arguments: argparse.Namespace) -> None:
    """Train a model, or go on with a run."""
    from vaereg.training.folder import check_folder

    check_folder(arguments.out, resume=arguments.resume)
    from vaereg.io.datasets import read_dataset
    from vaereg.model.checkpoint import save_checkpoint
    from vaereg.model.config import RunConfig, preset
    from vaereg.training.fitting import embed, fit
    from vaereg.training.loop import train, training_card

    if arguments.config is not None:
        config = RunConfig.from_json(arguments.config.read_text(encoding="utf-8"))
    else:
        config = preset(arguments.preset)
    if arguments.minutes is not None and not arguments.minutes > 0.0:
        raise InputError(f"expected positive minutes, got {arguments.minutes}")
    if find_spec("umap") is None:
        raise InputError("expected the package umap-learn, which maps the latent space, got none: install it")
    device = device_of(arguments)
    dataset = read_dataset(arguments.data)
    former = None if arguments.checkpoint is None else load_model(arguments)
    result = train(
        dataset,
        arguments.out,
        config,
        device=device,
        resume=arguments.resume,
        regressor=None if former is None else former.model,
        whole=True,
        max_minutes=arguments.minutes,
        on_progress=_training_progress,
    )
    path = arguments.out / "checkpoint.pt"
    card = training_card(dataset, config, result, device, former)
    report = progress("train", "volumes for the guided regressor")
    fitted = fit(result.model, dataset, config.training, on_progress=report)
    tell("train: mapping the latent space")
    embedding = embed(result.model, dataset, config.training)
    save_checkpoint(path, result.model, config, fitted, card, embedding)
    tell(f"train: wrote {path}")


def _training_progress(step: int, steps: int, terms: dict[str, float]) -> None:
    listed = ", ".join(f"{name} {value:.3g}" for name, value in terms.items())
    tell(f"train: step {step}/{steps}: {listed}")


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Measure a checkpoint on its test split."""
    from vaereg.evaluation.figures import evaluate
    from vaereg.evaluation.model_card import compact_json, model_card
    from vaereg.evaluation.records import read_record
    from vaereg.io.datasets import read_dataset
    from vaereg.io.files import check_output

    check_output(arguments.out, arguments.data)
    if arguments.card is not None:
        check_output(arguments.card)
        if arguments.split != "test":
            raise InputError(f"expected the test split for a model card, got {arguments.split}")
    baselines = None if arguments.baselines is None else read_record(arguments.baselines, "baselines")
    checkpoint = load_model(arguments)
    metrics = evaluate(
        checkpoint,
        read_dataset(arguments.data),
        split=arguments.split,
        targets=arguments.targets,
        count=arguments.count,
        workers=arguments.workers,
        on_progress=progress("evaluate", "designs solved"),
    )
    _write_text(arguments.out, compact_json(metrics) + "\n")
    if arguments.card is not None:
        _write_text(arguments.card, model_card(checkpoint, metrics, baselines))
    forward, inverse = metrics["forward"], metrics["inverse"]
    for tier in ("guided", "encoder"):
        error = forward[tier]["mape_axial"]
        print(f"forward, {tier}, {arguments.split} split, error over C11, C22, C33: {error:.2%}")
    print(f"direct designs, by the solver, median error: {inverse['median_error']:.1%}")
    print(
        f"best of {arguments.count} by prediction, by the solver, median error: "
        f"{inverse['median_error_of_best_by_prediction']:.1%}"
    )


def run_export(arguments: argparse.Namespace) -> None:
    """Write designs in the format of another program."""
    from vaereg.io.designs import read_designs
    from vaereg.io.export import bundle, describe_surface, export, stored_items
    from vaereg.io.files import check_output
    from vaereg.materials import TwoPhase

    materials = materials_of(arguments)
    check_output(arguments.out, arguments.designs)
    designs = read_designs(arguments.designs)
    if arguments.index is not None and not 0 <= arguments.index < len(designs):
        raise InputError(f"expected an index from 0 to {len(designs) - 1}, got {arguments.index}")
    if arguments.index is None and arguments.format != "zip":
        raise InputError("expected --index for one design, or --format zip for all of them")
    chosen = range(len(designs)) if arguments.index is None else [arguments.index]
    own_pair = materials.moduli() == TwoPhase().moduli()
    items = stored_items(designs, chosen, arguments.designs.name, figures=own_pair)
    if not own_pair:
        tell("export: predicted and solved figures are left out: they are of other moduli")
    size = arguments.voxel_size
    if arguments.format == "zip":
        bundle(arguments.out, items, materials, voxel_size=size)
        written = [arguments.out]
    else:
        written = export(
            items[0].volume,
            materials,
            arguments.format,
            arguments.out,
            provenance=items[0].provenance,
            voxel_size=size,
        )
        if arguments.format == "stl":
            tell(f"export: {describe_surface(items[0].volume)}")
    tell(f"export: wrote {', '.join(map(str, written))}")


def _tell_seams(command: str, imported: ImportedVolume) -> None:
    """Tell on stderr of volumes whose opposite faces do not fit together: a solver sees a jump there."""
    from vaereg.microstructure.segmentation import face_mismatch

    for number, volume in enumerate(imported.volumes):
        mismatch = face_mismatch(volume)
        if not mismatch.periodic:
            tell(
                f"{command}: volume {number} is not periodic: {mismatch.words()}; --mirror "
                f"solves it without a jump "
                "and says how much that matters"
            )


def _tell_reading(command: str, path: Path, imported: ImportedVolume) -> None:
    """Tell on stderr how a file was taken, once nothing more can be wrong with it."""
    tell(f"{command}: {path} read as {imported.read_as.sentence()}")


def _names(arguments: Sequence[str] | None) -> list[str] | None:
    """Names given one by one or with commas."""
    return None if arguments is None else [name for text in arguments for name in text.split(",") if name]


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, as a whole or not at all."""
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
    except ValueError as error:
        raise RuntimeError("a result is not a finite number") from error
    _write_text(path, text + "\n")


def _write_text(path: Path, text: str) -> None:
    from vaereg.io.files import replace_file

    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def progress(command: str, unit: str) -> Callable[[int, int], None]:
    """Report progress on stderr, at most twice a second: what is done, the rate and the time left."""
    start: tuple[int, float] | None = None
    last = -1.0

    def report(done: int, total: int) -> None:
        nonlocal start, last
        now = time.monotonic()
        if start and done < total and now - last < 0.5:
            return
        start, last = start or (done, now), now
        rate = (done - start[0]) / (now - start[1]) if now > start[1] else 0.0
        pace = f", {rate:.1f}/s, {(total - done) / rate / 60:.1f} min left" if rate > 0 else ""
        tell(f"{command}: {done}/{total} {unit}{pace}")

    return report
