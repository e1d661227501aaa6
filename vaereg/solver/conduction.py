"""Effective conductivity of a periodic two-phase cell: the scalar twin of `vaereg.solver.homogenization`.

Every voxel is one trilinear hexahedron with full 2x2x2 integration. For each unit mean gradient the periodic
fluctuation t of the temperature solves K t = f by conjugate gradients, preconditioned with the inverse of K
for a uniform medium, one real number per Fourier mode. In the basis of corner sums and differences the
element matrix is diagonal: with s_m the sum of corner values with the signs of monomial m, and
g_x = 1 / h_x^2 of a voxel with edges h, the energy over the conductivity is, times 1/16,

    g_x s_x^2 + g_y s_y^2 + g_z s_z^2 + ((g_x + g_y) s_xy^2 + (g_x + g_z) s_xz^2 + (g_y + g_z) s_yz^2) / 3
    + (g_x + g_y + g_z) s_xyz^2 / 9.

The same equations hold for diffusion, electric conduction and permittivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.solver.cell import node_divergence
from vaereg.solver.homogenization import ConvergenceError
from vaereg.solver.problem import as_phase_field, voxel_edges

__all__ = ["ConductionResult", "conduct", "phase_conductivities", "without_blocked_flow"]

_RESTARTS = 2
"""Restarts from the true residual before a tolerance counts as out of reach."""

_BLOCKED = 1e-6
"""Eigenvalue of the conductivity over the larger of the phases' [-], below which a cell with an insulating
phase conducts nothing: what rounding leaves is 1e-7."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConductionResult:
    """Effective conductivity of a cell, with what it cost."""

    conductivity: NDArray[np.float64]
    """Shape (3, 3), symmetric, in the unit of the phases' [W/(m K)]."""
    iterations: int
    """Conjugate-gradient iterations of all three load cases."""
    residual: float
    """Largest relative residual over the load cases, in the norm of the preconditioner [-]."""
    converged: bool
    """Whether `residual` reached the tolerance."""
    blocked: tuple[str, ...] = ()
    """Axes along which an insulating phase stops all flow."""
    sensitivity: NDArray | None = None
    """Derivative of the entries xx, xy, xz, yy, yz, zz with respect to the phase of each voxel, where asked
    for, shape (6, X, Y, Z)."""


def conduct(
    phase: ArrayLike,
    materials: TwoPhase,
    *,
    rtol: float = 1e-6,
    dtype: type[np.float32] | type[np.float64] = np.float64,
    max_iter: int = 1000,
    raise_on_failure: bool = True,
    sensitivities: bool = False,
    voxel_size: Sequence[float] | None = None,
) -> ConductionResult:
    """Effective conductivity of a periodic cell.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (X, Y, Z). Values between mix the conductivities linearly.
        materials: The two phases, whose conductivities are used; one of these may be zero.
        rtol: Residual, relative to that of the uniform gradient, at which a load case is taken as solved.
        dtype: Precision of the fields; the conductivity is always returned in float64.
        max_iter: Upper limit of iterations.
        raise_on_failure: With False, a result that has not converged is returned with its status.
        sensitivities: Return the derivatives with respect to the phase of each voxel as well.
        voxel_size: Edges of a voxel along x, y, z; cubes if left out.

    Raises:
        InputError: A phase has no conductivity, or both are zero; `voxel_size` is not three positive numbers.
        ValueError: `phase` is not three-dimensional, empty, or leaves 0 to 1; `rtol` or `max_iter` is not
            positive.
        ConvergenceError: The residual stayed above `rtol` after `max_iter` iterations.
    """
    field = as_phase_field(phase)
    if not rtol > 0.0 or max_iter < 1:
        raise ValueError(f"expected a positive rtol and max_iter, got {rtol} and {max_iter}")
    stiff, soft = phase_conductivities(materials)
    unit = max(stiff, soft)
    cell = _ScalarCell(field, stiff / unit, soft / unit, np.dtype(dtype), voxel_edges(voxel_size))
    temperature, iterations, residual = _solve(cell, rtol, max_iter)
    converged = bool(residual <= rtol)
    if not converged and raise_on_failure:
        raise ConvergenceError(
            f"residual {residual:.2e} of conduction is above the tolerance {rtol:.2e} after {iterations} "
            "iterations: allow more iterations, a looser tolerance or, at a tolerance near rounding, float64"
        )
    mean = float((soft + field * (stiff - soft)).mean()) / unit
    conductivity = mean * np.eye(3) + cell.fluctuation_energy(temperature)
    blocked: tuple[str, ...] = ()
    if min(stiff, soft) == 0.0:
        conductivity, blocked = without_blocked_flow(conductivity)
    return ConductionResult(
        conductivity=unit * conductivity,
        iterations=iterations,
        residual=residual,
        converged=converged,
        blocked=blocked,
        sensitivity=cell.sensitivity(temperature, stiff - soft) if sensitivities else None,
    )


def without_blocked_flow(
    conductivity: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Conductivity (3, 3) of a cell with an insulating phase, over the other phase's, without what rounding
    leaves, and the axes along which nothing flows.
    """
    values, axes = np.linalg.eigh(conductivity)
    empty = values < _BLOCKED
    if not empty.any():
        return conductivity, ()
    shares = (axes[:, empty] ** 2).sum(axis=1)
    blocked = tuple(name for name, share in zip("xyz", shares, strict=True) if share > _BLOCKED)
    return np.asarray((axes * np.where(empty, 0.0, values)) @ axes.T), blocked


def phase_conductivities(materials: TwoPhase) -> tuple[float, float]:
    """Conductivities of the stiff and of the soft phase [W/(m K)].

    Raises:
        InputError: One is not given, or both are zero.
    """
    values = []
    for key, phase in (("stiff", materials.stiff), ("soft", materials.soft)):
        if phase.conductivity is None:
            raise InputError(
                f"expected the conductivity of the {key} phase{phase.quoted}, which is not given"
            )
        values.append(float(phase.conductivity))
    if max(values) == 0.0:
        raise InputError("expected a phase that conducts, got two conductivities of zero")
    return values[0], values[1]


class _ScalarCell:
    """What the iterations share; fields have shape (3, X, Y, Z), one load case after the other."""

    def __init__(
        self,
        field: NDArray[np.float64],
        stiff: float,
        soft: float,
        dtype: np.dtype,
        edges: tuple[float, float, float],
    ) -> None:
        self.shape, self.dtype = field.shape, dtype
        mean_edge = edges[0] if len(set(edges)) == 1 else float(np.prod(edges)) ** (1.0 / 3.0)
        self.edges = [edge / mean_edge for edge in edges]
        gx, gy, gz = (1.0 / edge**2 for edge in self.edges)
        self.weights = np.array(
            [gx, gy, gz, (gy + gz) / 3.0, (gx + gz) / 3.0, (gx + gy) / 3.0, (gx + gy + gz) / 9.0]
        )
        step = stiff - soft
        self.rows = ((soft + field * step) / 16.0).astype(dtype)
        self.constants = self.weights.astype(dtype)
        forces = [-step / self.edges[axis] * node_divergence(field, axis) for axis in range(3)]
        self.load = np.stack(forces).astype(dtype)
        forced = np.abs(self.load).max(axis=(1, 2, 3)) > 64.0 * np.finfo(dtype).eps
        self.load[~forced] = 0.0
        self.green = self._green()

    def _green(self) -> NDArray[np.float32]:
        """Inverse of K for the conductivity 1 per Fourier mode, shape (X, Y, Z // 2 + 1); zero at mode 0."""
        half = [np.pi * np.arange(n) / n for n in self.shape]
        half[2] = half[2][: self.shape[2] // 2 + 1]
        sx, sy, sz = np.meshgrid(*[2.0 * np.sin(angle) for angle in half], indexing="ij", sparse=True)
        cx, cy, cz = np.meshgrid(*[2.0 * np.cos(angle) for angle in half], indexing="ij", sparse=True)
        sums = [
            sx * cy * cz,
            cx * sy * cz,
            cx * cy * sz,
            cx * sy * sz,
            sx * cy * sz,
            sx * sy * cz,
            sx * sy * sz,
        ]
        total = sum(w * s**2 for w, s in zip(self.weights, sums, strict=True))
        k = np.asarray(total) / 16.0
        k[0, 0, 0] = np.inf
        return (1.0 / k).astype(np.float32)

    def apply(self, temperature: NDArray) -> NDArray:
        """K temperature."""
        out = np.zeros_like(temperature)
        _apply_conduction(temperature, self.rows, self.constants, out)
        return out

    def precondition(self, residual: NDArray) -> NDArray:
        """Inverse of K for a uniform conductivity applied to `residual`, in float32 inside."""
        single = residual.astype(np.float32, copy=False)
        modes = np.asarray(scipy.fft.rfftn(single, axes=(1, 2, 3)))
        modes *= self.green
        solution = scipy.fft.irfftn(modes, s=self.shape, axes=(1, 2, 3), overwrite_x=True)
        return np.asarray(solution).astype(self.dtype, copy=False)

    def fluctuation_energy(self, temperature: NDArray) -> NDArray[np.float64]:
        """Effective conductivity less the mean, shape (3, 3)."""
        image = self.apply(temperature) - 2.0 * self.load
        flat = temperature.reshape(3, -1).astype(np.float64)
        energy = flat @ image.reshape(3, -1).astype(np.float64).T
        return (energy + energy.T) / (2.0 * np.prod(self.shape))

    def sensitivity(self, temperature: NDArray, step: float) -> NDArray:
        """Derivative of the entries (i, j), i <= j, with respect to the phase, shape (6, X, Y, Z)."""
        sums = temperature[:, None]
        for axis in range(2, 5):
            ahead = np.roll(sums, -1, axis=axis)
            sums = np.concatenate([sums + ahead, ahead - sums], axis=1)
        # bits of an index: differences along x (1), y (2), z (4)
        gradients = sums[:, [1, 2, 4, 6, 5, 3, 7]]
        for case in range(3):
            gradients[case, case] += self.dtype.type(4.0 * self.edges[case])
        scale = step / (16.0 * np.prod(self.shape))
        weighted = gradients * (scale * self.weights).astype(self.dtype)[:, None, None, None]
        rows, columns = np.triu_indices(3)
        return np.stack(
            [(weighted[i] * gradients[j]).sum(axis=0) for i, j in zip(rows, columns, strict=True)]
        )


def _solve(cell: _ScalarCell, rtol: float, max_iter: int) -> tuple[NDArray, int, float]:
    """Conjugate gradients of three load cases side by side: temperature, iterations, relative residual."""
    residual, temperature = cell.load.copy(), np.zeros_like(cell.load)
    direction = cell.precondition(residual)
    energy = _dots(residual, direction)
    start = np.where(energy > 0.0, energy, 1.0)
    iterations, restarts = 0, 0
    while _relative(energy, start) > rtol and iterations < max_iter:
        image = cell.apply(direction)
        iterations += 1
        curvature = _dots(direction, image)
        active = (curvature > 0.0) & (energy > 0.0)
        step = np.where(active, energy / np.where(active, curvature, 1.0), 0.0)
        scale = step.astype(cell.dtype)[:, None, None, None]
        temperature += scale * direction
        residual -= scale * image
        conditioned = cell.precondition(residual)
        former, energy = energy, _dots(residual, conditioned)
        if _relative(energy, start) <= rtol or iterations == max_iter:
            # the residual that is updated drifts by rounding: the true one decides
            residual = cell.load - cell.apply(temperature)
            direction = cell.precondition(residual)
            energy = _dots(residual, direction)
            if restarts == _RESTARTS:
                break
            restarts += 1
            continue
        ratio = np.where(active, energy / np.where(active, former, 1.0), 0.0).astype(cell.dtype)
        direction = conditioned + ratio[:, None, None, None] * direction
    return temperature, iterations, _relative(energy, start)


def _dots(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    return np.array([np.vdot(x, y) for x, y in zip(a, b, strict=True)], dtype=np.float64)


def _relative(energy: NDArray[np.float64], start: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.maximum(energy, 0.0) / start).max())


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _apply_conduction(t, rows, weights, out):  # noqa: ANN001, ANN202 # pyright: ignore[reportMissingParameterType]
    """out += K t, fields of shape (L, X, Y, Z); `rows` (X, Y, Z): conductivity / 16."""
    cases, nx, ny, nz = t.shape
    wx, wy, wz, wyz = weights[0], weights[1], weights[2], weights[3]
    wxz, wxy, wxyz = weights[4], weights[5], weights[6]
    sums = np.empty((4, nz + 1), t.dtype)  # 1, xi, eta, xi eta, before the step along z
    near = np.empty((4, nz), t.dtype)  # forces on the nodes at z ...
    far = np.empty((4, nz), t.dtype)  # ... and at z + 1
    for case in range(cases):
        for x in range(nx):
            x1 = x + 1 if x + 1 < nx else 0
            for y in range(ny):
                y1 = y + 1 if y + 1 < ny else 0
                a, b, c, d = t[case, x, y], t[case, x1, y], t[case, x, y1], t[case, x1, y1]
                for k in range(nz):
                    low, high = a[k] + b[k], c[k] + d[k]
                    dlow, dhigh = b[k] - a[k], d[k] - c[k]
                    sums[0, k], sums[1, k] = low + high, dlow + dhigh
                    sums[2, k], sums[3, k] = high - low, dhigh - dlow
                for m in range(4):
                    sums[m, nz] = sums[m, 0]
                row = rows[x, y]
                for k in range(nz):
                    w = row[k]
                    fz = w * wz * (sums[0, k + 1] - sums[0, k])
                    fx = w * wx * (sums[1, k + 1] + sums[1, k])
                    fxz = w * wxz * (sums[1, k + 1] - sums[1, k])
                    fy = w * wy * (sums[2, k + 1] + sums[2, k])
                    fyz = w * wyz * (sums[2, k + 1] - sums[2, k])
                    fxy = w * wxy * (sums[3, k + 1] + sums[3, k])
                    fxyz = w * wxyz * (sums[3, k + 1] - sums[3, k])
                    near[0, k], far[0, k] = -fz, fz
                    near[1, k], far[1, k] = fx - fxz, fx + fxz
                    near[2, k], far[2, k] = fy - fyz, fy + fyz
                    near[3, k], far[3, k] = fxy - fxyz, fxy + fxyz
                oa, ob, oc, od = out[case, x, y], out[case, x1, y], out[case, x, y1], out[case, x1, y1]
                for k in range(nz):
                    oa[k] += near[0, k] - near[1, k] - near[2, k] + near[3, k]
                for k in range(nz):
                    ob[k] += near[0, k] + near[1, k] - near[2, k] - near[3, k]
                for k in range(nz):
                    oc[k] += near[0, k] - near[1, k] + near[2, k] - near[3, k]
                for k in range(nz):
                    od[k] += near[0, k] + near[1, k] + near[2, k] + near[3, k]
                for k in range(nz - 1):
                    oa[k + 1] += far[0, k] - far[1, k] - far[2, k] + far[3, k]
                for k in range(nz - 1):
                    ob[k + 1] += far[0, k] + far[1, k] - far[2, k] - far[3, k]
                for k in range(nz - 1):
                    oc[k + 1] += far[0, k] - far[1, k] + far[2, k] - far[3, k]
                for k in range(nz - 1):
                    od[k + 1] += far[0, k] + far[1, k] + far[2, k] + far[3, k]
                k = nz - 1
                oa[0] += far[0, k] - far[1, k] - far[2, k] + far[3, k]
                ob[0] += far[0, k] + far[1, k] - far[2, k] - far[3, k]
                oc[0] += far[0, k] - far[1, k] + far[2, k] - far[3, k]
                od[0] += far[0, k] + far[1, k] + far[2, k] + far[3, k]
