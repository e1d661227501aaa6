"""The command `predict`: by the trained model, or for any pair of phases."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from vaereg.arguments import imported_volumes, load_model, pairs_of, phases_given
from vaereg.commands.reporting import progress, tell_reading, tell_seams, write_json
from vaereg.errors import InputError

if TYPE_CHECKING:
    from vaereg.io.importing import ImportedVolume

__all__ = ["run_predict"]


def run_predict(arguments: argparse.Namespace) -> None:
    """Predict every volume of a file."""
    from vaereg.elasticity import PROPERTIES
    from vaereg.io.files import check_output
    from vaereg.io.importing import to_cubes
    from vaereg.io.provenance import describe_run
    from vaereg.model.prediction import predict

    check_output(arguments.out, arguments.volumes)
    imported = imported_volumes(arguments, both_phases=True)
    if not imported.cubes:
        imported = to_cubes(imported)
    volumes = imported.volumes
    if phases_given(arguments):
        _predict_pairs(arguments, imported)
        return
    checkpoint = load_model(arguments)
    prediction = predict(checkpoint, volumes, on_progress=progress("predict", "volumes"))
    tell_reading("predict", arguments.volumes, imported)
    tell_seams("predict", imported)
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
    from vaereg.solver.properties import elastic_properties

    pairs = pairs_of(arguments, len(imported.volumes))
    try:
        model = load_pair_model(arguments.checkpoint)
    except CheckpointError as error:  # a file of the user's: bad input, not a failed computation
        raise InputError(str(error)) from error
    report = progress("predict", "volumes")
    prediction = predict_stiffness(model, list(imported.volumes), pairs, on_progress=report)
    tell_reading("predict", arguments.volumes, imported)
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
        known = elastic_properties(mean, fraction, pair)
        result |= {name: value for name, value in known.items() if name != "engineering"}
        results.append(result)
    content: dict[str, Any] = {
        **describe_run(pairs, tolerance=RESIDUAL, dtype="float32", checkpoint=model.hash),
        "units": "GPa",
        "order": list(VOIGT_ORDER),
        "read_as": imported.read_as.to_json(),
        "results": results,
    }
    write_json(arguments.out, content)
