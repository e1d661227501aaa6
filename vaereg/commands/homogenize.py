"""The command `homogenize`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from vaereg.arguments import device_of, imported_volumes, pairs_of
from vaereg.commands.reporting import iteration_progress, progress, tell_reading, tell_seams, write_json
from vaereg.console import tell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaereg.materials import TwoPhase
    from vaereg.solver.homogenization import HomogenizationResult

__all__ = ["run_homogenize"]


def run_homogenize(arguments: argparse.Namespace) -> None:
    """Solve every volume of a file."""
    import numpy as np

    from vaereg.elasticity import VOIGT_ORDER
    from vaereg.io.exporting.provenance import describe_run
    from vaereg.io.files import check_output
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
    tell_reading("homogenize", arguments.volumes, imported)
    tell_seams("homogenize", imported)
    options: dict[str, Any] = {"rtol": arguments.rtol, "voxel_size": size}

    def solve(volume: NDArray[np.uint8], materials: TwoPhase) -> HomogenizationResult:
        if device == "cpu":
            return homogenize(
                volume,
                materials,
                element=arguments.element,
                raise_on_failure=False,
                on_iteration=iteration_progress("homogenize"),
                **options,
            )
        from vaereg.solver.on_torch.homogenization import homogenize_on

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
            entry |= thermal_properties(volume, materials, device=device, **options)
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
