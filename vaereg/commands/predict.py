"""The command `predict`: stiffness between guaranteed bounds, and what follows, for any pair of phases."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vaereg.arguments import imported_volumes, load_model, load_pairs, pairs_of, phases_given
from vaereg.commands.reporting import progress, tell_reading, tell_seams, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaereg.materials import TwoPhase
    from vaereg.model.pairs.regressor import PairModel

__all__ = ["run_predict"]

LARGEST_RECOGNISED = 128**3
"""Voxels up to which the class of a volume is told: its descriptors take some seconds there."""


def run_predict(arguments: argparse.Namespace) -> None:
    """Predict every volume of a file.

    Without phases, for those of the trained model: a checkpoint that is asked for gives the properties C11 to
    C66 and says what is novel; the shipped one says what is novel, and the regressor gives the properties.
    """
    from vaereg.elasticity import PROPERTIES, VOIGT_ORDER
    from vaereg.io.exporting.provenance import describe_run
    from vaereg.io.files import check_output
    from vaereg.io.importing import to_cubes
    from vaereg.model.pairs.regressor import RESIDUAL, load_pair_model
    from vaereg.model.prediction import predict

    check_output(arguments.out, arguments.volumes)
    imported = imported_volumes(arguments, both_phases=True)
    if not imported.cubes:
        imported = to_cubes(imported)
    volumes = list(imported.volumes)
    checkpoint, prediction = None, None
    if phases_given(arguments):
        pairs, model = pairs_of(arguments, len(volumes)), load_pairs(arguments)
    else:
        checkpoint = load_model(arguments)
        pairs, model = (checkpoint.model.materials,) * len(volumes), load_pair_model()
        prediction = predict(checkpoint, volumes)
    results = _answers(model, volumes, pairs)
    if prediction is not None:
        for i, result in enumerate(results):
            result["in_distribution"] = bool(prediction.in_distribution[i])
            result["novelty"] = float(prediction.novelty[i])
            if arguments.checkpoint is not None:
                result["properties"] = {
                    name: {"mean": float(prediction.mean[i, j]), "std": float(prediction.std[i, j])}
                    for j, name in enumerate(PROPERTIES)
                }
    tell_reading("predict", arguments.volumes, imported)
    tell_seams("predict", imported)
    for result, probabilities in zip(results, _morphologies(volumes), strict=True):
        if probabilities:
            result["morphology"] = probabilities
    content: dict[str, Any] = {
        **describe_run(
            pairs,
            tolerance=RESIDUAL,
            dtype="float32",
            checkpoint=model.hash if checkpoint is None else checkpoint.hash,
        ),
        "regressor": model.hash,
        "units": "GPa",
        "order": list(VOIGT_ORDER),
        "read_as": imported.read_as.to_json(),
        "results": results,
    }
    write_json(arguments.out, content)


def _answers(
    model: PairModel, volumes: Sequence[NDArray[np.uint8]], pairs: Sequence[TwoPhase]
) -> list[dict[str, Any]]:
    """Prediction of each volume with its volume fraction and conductivity, without a full elastic solve."""
    import numpy as np

    from vaereg.elasticity import PROPERTIES
    from vaereg.model.pairs.regressor import CONDUCTION_RESIDUAL, predict_stiffness
    from vaereg.model.pairs.spread import engineering_spread, expansion_spread, perhaps_unloaded
    from vaereg.solver.conduction import conduct
    from vaereg.solver.properties import elastic_properties

    prediction = predict_stiffness(model, volumes, pairs, on_progress=progress("predict", "volumes"))
    results: list[dict[str, Any]] = []
    for i, pair in enumerate(pairs):
        mean, std, fraction = prediction.mean[i], prediction.std[i], float(volumes[i].mean())
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
            conduction = conduct(volumes[i], pair, rtol=CONDUCTION_RESIDUAL, dtype=np.float32)
            result["conductivity"] = {"mean": conduction.conductivity.tolist()}
        derived = elastic_properties(mean, fraction, pair)
        if "thermal_expansion" in derived:
            derived["thermal_expansion_std"] = expansion_spread(mean, std, fraction, pair)
        if unloaded := perhaps_unloaded(mean, std, pair):
            derived["perhaps_unloaded"] = unloaded
        results.append(result | {name: value for name, value in derived.items() if name != "engineering"})
    return results


def _morphologies(volumes: Sequence[NDArray[np.uint8]]) -> list[dict[str, float]]:
    """Probability of each class, by name; none for volumes that are too large."""
    from vaereg.model.recognition import load_classifier

    classifier = load_classifier()
    named = []
    for volume in volumes:
        if volume.size > LARGEST_RECOGNISED:
            named.append({})
            continue
        (probabilities,) = classifier.predict_proba([volume])
        named.append(dict(zip(classifier.classes, probabilities.tolist(), strict=True)))
    return named
