"""This solver beside others that pip installs, on one volume: six load cases, same tolerance, one process.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/solver_alternatives.py [--size 32]
    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/solver_alternatives.py \
        --precisions float64 --solvers "scikit-fem, PyAMG" --add

Writes results/solver_alternatives.json; the second command measures a part of it, this solver beside another,
and keeps the rest of a former run on this machine. Others are used where they are installed, in an
environment of their own if need be (`pip install muGrid scikit-fem pyamg torch numba scipy`):

- muGrid (C++): its fused trilinear element operator and its conjugate gradients, with its Green and with its
  Green-Jacobi preconditioner (Ladecký et al. 2023, doi:10.1016/j.amc.2023.127835).
- scikit-fem: the assembled matrix of the same elements and SciPy's conjugate gradients, preconditioned with
  the diagonal or with the smoothed aggregation multigrid of PyAMG. Other codes that assemble solve the same
  matrix: torch-fem with that multigrid, sfepy with a sparse factorisation.
- torch: `vaereg.solver.on_torch.homogenization`, the same equations in plain torch.

All solve the same discrete equations. Each stops by its own measure of the relative residual (here the norm
of the preconditioner, there the Euclidean one), so the error of the stiffness against a solve at 1e-10 is
given too.
"""

import argparse
import importlib.util
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import PRECISIONS, RESULTS, gaussian_cell, seconds, write_record

from vaereg.elasticity import VOIGT_ORDER, lame_parameters
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import homogenize

PAIRS = [tuple("xyz".index(letter) for letter in name) for name in VOIGT_ORDER]


def unit_strain(index: int) -> NDArray[np.float64]:
    """Tensor of the unit strain with a Voigt index, engineering shear."""
    strain = np.zeros((3, 3))
    i, j = PAIRS[index]
    strain[i, j] += 0.5
    strain[j, i] += 0.5
    return strain


def lame_fields(cell: NDArray, materials: TwoPhase) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    stiff = lame_parameters(materials.e_stiff, materials.nu_stiff)
    soft = lame_parameters(materials.e_soft, materials.nu_soft)
    return np.where(cell == 1, stiff[0], soft[0]), np.where(cell == 1, stiff[1], soft[1])


def ours(cell: NDArray, materials: TwoPhase, precision: str) -> tuple[NDArray, int]:
    dtype, rtol = PRECISIONS[precision]
    result = homogenize(cell, materials, rtol=rtol, dtype=dtype)
    return result.stiffness, result.iterations


def plain_torch(cell: NDArray, materials: TwoPhase, precision: str) -> tuple[NDArray, int]:
    import torch

    from vaereg.solver.on_torch.homogenization import homogenize_batch

    torch.set_num_threads(1)
    dtype, rtol = PRECISIONS[precision]
    result = homogenize_batch(torch.from_numpy(cell.astype(dtype))[None], materials, rtol=rtol)
    return result.stiffness[0].numpy(), result.iterations


def mugrid(
    cell: NDArray, materials: TwoPhase, precision: str, *, jacobi: bool, device: str = "cpu"
) -> tuple[NDArray, int]:
    import muGrid
    from muGrid.Preconditioners import (
        make_green_jacobi_preconditioner,
        make_reference_stiffness_preconditioner,
    )
    from muGrid.Solvers import conjugate_gradients

    dtype, rtol = PRECISIONS[precision]
    operator = muGrid.IsotropicStiffnessOperator3D([1.0, 1.0, 1.0])
    engine = muGrid.FFTEngine(list(cell.shape), ghosts=1, device=device)
    arrays = np if device == "cpu" else import_module("cupy")  # its fields on a GPU are arrays of CuPy

    def field(name: str, *components: int) -> "muGrid.Field":
        return engine.real_space_field(name, components=components, dtype=np.dtype(dtype))

    first, shear, force, displacement = field("first"), field("shear"), field("force", 3), field("u", 3)
    means = []
    for item, values in zip((first, shear), lame_fields(cell, materials), strict=True):
        item.s[...] = arrays.asarray(values.astype(dtype))
        engine.communicate_ghosts(item)
        means.append(float(values.mean()))
    element = {"element": muGrid.FEMElement.q1, "grid_spacing": [1.0, 1.0, 1.0]}
    if jacobi:
        preconditioner = make_green_jacobi_preconditioner(engine, operator, first, shear, 3, **element)
    else:
        preconditioner = make_reference_stiffness_preconditioner(
            engine, nb_components=3, dtype=dtype, lambda_ref=means[0], mu_ref=means[1], **element
        )

    def apply(u: "muGrid.Field", out: "muGrid.Field") -> None:
        engine.communicate_ghosts(u)
        operator.apply(u, first, shear, out)

    raw = [getattr(entry, "_cpp", entry) for entry in (first, shear, force, displacement)]
    stiffness, iterations = np.empty((6, 6)), 0
    for index in range(6):
        strain = unit_strain(index).ravel().tolist()
        operator.apply_macro_rhs(raw[0], raw[1], strain, raw[2])
        force.s[...] *= -1.0
        displacement.s[...] = 0.0
        steps = []
        conjugate_gradients(
            engine.communicator,
            engine.real_space_collection,
            force,
            displacement,
            apply,
            prec=preconditioner,
            rtol=rtol,
            maxiter=2000,
            callback=lambda iteration, state, steps=steps: steps.append(iteration),
        )
        iterations = max(iterations, steps[-1])
        engine.communicate_ghosts(displacement)
        stress = np.reshape(operator.average_stress(raw[3], raw[0], raw[1], strain), (3, 3)) / cell.size
        stiffness[:, index] = [stress[i, j] for i, j in PAIRS]
    return (stiffness + stiffness.T) / 2.0, iterations


def scikit_fem(cell: NDArray, materials: TwoPhase, precision: str, *, multigrid: bool) -> tuple[NDArray, int]:
    import skfem
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.linalg import cg
    from skfem.helpers import ddot, sym_grad, trace

    dtype, rtol = PRECISIONS[precision]
    size = cell.shape[0]
    axis = np.arange(size + 1, dtype=float)
    mesh = skfem.MeshHex.init_tensor(axis, axis, axis)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex1()), intorder=3)
    x, y, z = np.floor(mesh.p[:, mesh.t].mean(axis=1)).astype(int)
    first, shear = (item[x, y, z][:, None] for item in lame_fields(cell, materials))

    @skfem.BilinearForm
    def form(u: object, v: object, w: object) -> NDArray:
        e, d = sym_grad(u), sym_grad(v)
        return first * trace(e) * trace(d) + 2.0 * shear * ddot(e, d)

    full = csr_array(form.assemble(basis))
    # periodic: nodes with the same coordinates modulo the cell are one
    ids = np.ravel_multi_index(tuple(np.round(mesh.p).astype(int) % size), cell.shape)
    nodes = np.tile(ids, (3, 1)) * 3 + np.arange(3)[:, None]
    dofs = np.empty(full.shape[0], dtype=int)
    dofs[basis.nodal_dofs.ravel()] = nodes.ravel()
    join = csr_array((np.ones(dofs.size), (np.arange(dofs.size), dofs)), shape=(dofs.size, 3 * cell.size))
    matrix = (join.T @ full @ join).astype(dtype)
    places = np.empty((full.shape[0], 3))
    places[basis.nodal_dofs.ravel()] = np.tile(mesh.p.T, (3, 1))
    component = np.empty(full.shape[0], dtype=int)
    component[basis.nodal_dofs.ravel()] = np.repeat(np.arange(3), mesh.p.shape[1])
    if multigrid:
        import pyamg

        translations = np.tile(np.eye(3, dtype=dtype), (cell.size, 1))
        blocks = matrix.tobsr(blocksize=(3, 3))
        preconditioner = pyamg.smoothed_aggregation_solver(blocks, translations).aspreconditioner()
    else:
        preconditioner = diags_array((1.0 / matrix.diagonal()).astype(dtype))
    total, iterations = np.empty((6, full.shape[0])), 0
    for index in range(6):
        affine = np.einsum("ij,ij->i", unit_strain(index)[component], places)
        steps: list[int] = []
        solution, failed = cg(
            matrix,
            -(join.T @ (full @ affine)).astype(dtype),
            rtol=rtol,
            maxiter=20000,
            M=preconditioner,
            callback=lambda _, steps=steps: steps.append(1),
        )
        if failed:
            raise RuntimeError(f"SciPy's conjugate gradients ended with status {failed}")
        iterations = max(iterations, len(steps))
        total[index] = affine + join @ solution
    return total @ (full @ total.T) / cell.size, iterations


OWN = "vaereg"
"""The solver that is measured in every part."""
SOLVERS: dict[str, tuple[str, Callable[[NDArray, TwoPhase, str], tuple[NDArray, int]]]] = {
    OWN: ("vaereg", ours),
    "muGrid, Green": ("muGrid", lambda *args: mugrid(*args, jacobi=False)),
    "muGrid, Green-Jacobi": ("muGrid", lambda *args: mugrid(*args, jacobi=True)),
    "plain torch": ("torch", plain_torch),
    "scikit-fem, PyAMG": ("pyamg", lambda *args: scikit_fem(*args, multigrid=True)),
    "scikit-fem, Jacobi": ("skfem", lambda *args: scikit_fem(*args, multigrid=False)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3, help="of each but scikit-fem, which runs once")
    parser.add_argument("--precisions", choices=tuple(PRECISIONS), nargs="+", default=tuple(PRECISIONS))
    parser.add_argument("--solvers", choices=tuple(SOLVERS), nargs="+", default=tuple(SOLVERS))
    parser.add_argument("--add", action="store_true", help="to the figures of a former run on this machine")
    arguments = parser.parse_args()
    cell, materials = gaussian_cell(arguments.size), TwoPhase()
    exact = homogenize(cell, materials, rtol=1e-10).stiffness
    settings = {
        "size": arguments.size,
        "repeats": arguments.repeats,
        "contrast": materials.contrast,
        "load_cases": 6,
        "rtol": {name: rtol for name, (_, rtol) in PRECISIONS.items()},
    }
    figures: list[dict[str, Any]] = []
    if arguments.add:
        figures = json.loads((RESULTS / "solver_alternatives.json").read_text(encoding="utf-8"))["figures"]
    for precision in arguments.precisions:
        reference = None
        for name, (module, solve) in SOLVERS.items():
            if name not in (OWN, *arguments.solvers):
                continue
            if importlib.util.find_spec(module) is None:
                print(f"{name}: {module} is not installed")
                continue
            result: list[tuple[NDArray, int]] = []
            once = name.startswith("scikit-fem")
            time = seconds(
                lambda solve=solve, result=result, precision=precision: result.append(
                    solve(cell, materials, precision)
                ),
                1 if once else arguments.repeats,
                warm_up=not once,
            )
            reference = time if reference is None else reference
            stiffness, iterations = result[-1]
            row = {
                "solver": name,
                "precision": precision,
                **time,
                "cpu_ratio": time["cpu_s"] / reference["cpu_s"],
                "iterations": iterations,
                "error": float(np.abs(stiffness - exact).max() / exact.max()),
            }
            print(row, flush=True)
            place = precision, name
            if name != OWN or place not in [(item["precision"], item["solver"]) for item in figures]:
                figures = [item for item in figures if (item["precision"], item["solver"]) != place]
                figures = sorted([*figures, row], key=order)
                write_record("solver_alternatives", settings, figures)  # after each: some take minutes


def order(row: dict[str, Any]) -> tuple[int, int]:
    """Place of a row in the table."""
    return list(PRECISIONS).index(row["precision"]), list(SOLVERS).index(row["solver"])


if __name__ == "__main__":
    main()
