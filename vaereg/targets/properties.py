"""Quantities of cells, and their derivatives with respect to stiffness, conductivity and volume fraction.

With a quantity written as q(C, S, k, f), where S is the inverse of C, dS = -S dC S gives its derivative with
respect to the stiffness alone, dq/dC = q_C - S q_S S.

Letters: N cells, T quantities, C stiffness [GPa], S compliance [1/GPa], k conductivity [W/(m K)], f volume
fraction of the stiff phase [-].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import bulk_and_shear, mandel_to_voigt, voigt_to_mandel
from vaereg.engineering import (
    EngineeringConstants,
    conduction_factor,
    engineering_constants,
    mixed_density,
    thermal_expansion,
)
from vaereg.materials import TwoPhase
from vaereg.targets.quantities import QUANTITIES, STIFFNESS_ENTRIES, canonical_name

__all__ = ["COUPLING_SHARE", "CellProperties", "Gradients"]

_AXES, _PLANES = "xyz", ("yz", "xz", "xy")
_PAIRS = ("xy", "xz", "yx", "yz", "zx", "zy")
_POWERS = {"specific_E": 1.0, "specific_sqrt_E": 1.0 / 2.0, "specific_cbrt_E": 1.0 / 3.0}
COUPLING_SHARE = 0.1
"""Share of the geometric mean of two diagonal entries that deviations of the entry between them are relative
to, where what was asked for is less [-]."""
_SINGULAR = 1e-12
"""Eigenvalue of a stiffness over its largest [-], below which it counts as none."""
_ALIKE_BULK = 1e-4
"""Relative difference of the bulk moduli [-], below which thermal expansion follows the fraction alone."""
_TINY = 1e-150
_CACHED = ("_sound", "_expansion", "_density")
"""Properties of every cell that are computed once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradients:
    """Derivatives of T quantities of one cell, in the unit of each over that of what it is taken by."""

    stiffness: NDArray[np.float64]
    """dq/dC, symmetric, so that dq is the sum of all 36 products with dC, shape (T, 6, 6)."""
    conductivity: NDArray[np.float64]
    """dq/dk in the same sense, shape (T, 3, 3)."""
    fraction: NDArray[np.float64]
    """dq/df at a given stiffness and conductivity, shape (T,)."""


@dataclass(frozen=True, kw_only=True)
class CellProperties:
    """Properties of N cells of one pair of phases, from which every quantity follows."""

    stiffness: NDArray[np.float64]
    """Voigt order, shape (N, 6, 6) [GPa]; NaN where it is not known."""
    fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (N,) [-]."""
    materials: TwoPhase
    """The two phases."""
    conductivity: NDArray[np.float64] | None = None
    """Shape (N, 3, 3) [W/(m K)]; None where it is not known."""

    def __post_init__(self) -> None:
        count = len(self.fraction)
        if self.stiffness.shape != (count, 6, 6):
            raise ValueError(f"expected stiffness of shape {(count, 6, 6)}, got {self.stiffness.shape}")
        if self.conductivity is not None and self.conductivity.shape != (count, 3, 3):
            raise ValueError(f"expected conductivity of shape {(count, 3, 3)}, got {self.conductivity.shape}")

    @classmethod
    def from_diagonal(cls, diagonal: ArrayLike, fraction: ArrayLike, materials: TwoPhase) -> CellProperties:
        """Cells of which C11, C22, ... C66 alone are known, shape (N, 6) [GPa]."""
        values = np.asarray(diagonal, dtype=np.float64)
        stiffness = np.full((len(values), 6, 6), np.nan)
        stiffness[:, range(6), range(6)] = values
        return cls(stiffness=stiffness, fraction=np.asarray(fraction, dtype=np.float64), materials=materials)

    def __len__(self) -> int:
        return len(self.fraction)

    def rows(self, rows: ArrayLike) -> CellProperties:
        """Some of the cells, by indices or a mask."""
        index = np.asarray(rows)
        conductivity = None if self.conductivity is None else self.conductivity[index]
        cells = replace(
            self,
            stiffness=self.stiffness[index],
            fraction=self.fraction[index],
            conductivity=conductivity,
        )
        for name in _CACHED:  # what has been computed already
            if name in self.__dict__:
                cells.__dict__[name] = self.__dict__[name][index]
        if "_constants" in self.__dict__:
            constants = self._constants
            parts = {item.name: getattr(constants, item.name)[index] for item in fields(constants)}
            cells.__dict__["_constants"] = replace(constants, **parts)
        return cells

    def copies(self, count: int) -> CellProperties:
        """All cells several times over, one after the other, with what has been computed of them."""
        return self.rows(np.tile(np.arange(len(self)), count))

    def scaled(self, factor: NDArray[np.float64], fraction: NDArray[np.float64]) -> CellProperties:
        """Cells with other volume fractions, and stiffness times a factor, (N,) each [-]; conductivity
        follows the logarithmic rule of mixtures. Engineering constants that have been computed are scaled.
        """
        conductivity = self.conductivity
        if conductivity is not None:
            factor_of_conduction = conduction_factor(fraction - self.fraction, self.materials)
            conductivity = conductivity * factor_of_conduction[:, None, None]
        cells = replace(
            self,
            stiffness=self.stiffness * factor[:, None, None],
            fraction=fraction,
            conductivity=conductivity,
        )
        if "_constants" not in self.__dict__:
            return cells
        # moduli are homogeneous of degree one, ratios of degree zero: no further inverse
        constants, column = self._constants, factor[:, None]
        cells.__dict__["_sound"] = self._sound * factor[:, None, None]
        cells.__dict__["_constants"] = replace(
            constants,
            young=constants.young * column,
            shear=constants.shear * column,
            bulk=constants.bulk * factor,
            mean_shear=constants.mean_shear * factor,
        )
        return cells

    @cached_property
    def _sound(self) -> NDArray[np.float64]:
        """Stiffness without negative eigenvalues, which a prediction may have where a cell carries no load;
        zero where it is not known.
        """
        matrices = np.where(np.isfinite(self.stiffness).all(axis=(1, 2), keepdims=True), self.stiffness, 0.0)
        values, axes = np.linalg.eigh(voigt_to_mandel(matrices))
        if (values >= 0.0).all():
            return matrices
        sound = np.maximum(values, 0.0)
        return mandel_to_voigt(np.einsum("nik,nk,njk->nij", axes, sound, axes))

    @cached_property
    def _constants(self) -> EngineeringConstants:
        """Engineering constants; NaN for cells whose stiffness is not known in full."""
        is_known = np.all(np.isfinite(self.stiffness), axis=(1, 2))
        constants = engineering_constants(np.where(is_known[:, None, None], self._sound, np.eye(6)))
        hidden = {
            name: np.where(is_known.reshape(-1, *[1] * (value.ndim - 1)), value, np.nan)
            for name in ("young", "shear", "poisson", "bulk", "mean_shear", "anisotropy")
            for value in [getattr(constants, name)]
        }
        return replace(constants, **hidden)

    @cached_property
    def _expansion(self) -> NDArray[np.float64]:
        """Thermal expansion, shape (N, 6) [1e-6/K]."""
        is_known = np.asarray(np.isfinite(self.stiffness).all(axis=(1, 2), keepdims=True))
        expansion = thermal_expansion(
            np.where(is_known, self._sound, np.eye(6)), self.fraction, self.materials
        )
        return np.where(is_known[..., 0], expansion, np.nan)

    @cached_property
    def _density(self) -> NDArray[np.float64]:
        soft, stiff = (mixed_density(end, self.materials) for end in (0.0, 1.0))
        return self.fraction * stiff + (1.0 - self.fraction) * soft

    def values(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Quantities of every cell, each in its unit, shape (N, T); NaN where it is not known or there is
        none, as the Poisson ratio of a direction that carries no load.

        Raises:
            InputError: A name is unknown, or a phase lacks a property that a quantity needs.
        """
        columns = [self._value(canonical_name(name)) for name in names]
        return np.stack(columns, axis=1) if columns else np.empty((len(self), 0))

    def _value(self, name: str) -> NDArray[np.float64]:
        if name in STIFFNESS_ENTRIES:
            return self.stiffness[:, int(name[1]) - 1, int(name[2]) - 1]
        if name == "volume_fraction":
            return self.fraction
        if name == "density":
            return self._density
        kind, _, suffix = name.rpartition("_")
        if name.startswith("specific_"):
            kind, axis = (kind, suffix) if suffix in _AXES else (name, "")
            young = self._value(f"E_{axis}" if axis else "E")
            with np.errstate(divide="ignore"):
                return young ** _POWERS[kind] / self._density
        if name == "k" or kind == "k":
            if self.conductivity is None:
                return np.full(len(self), np.nan)
            if name == "k":
                return np.trace(self.conductivity, axis1=1, axis2=2) / 3.0
            i, j = _AXES.index(suffix[0]), _AXES.index(suffix[-1])
            return self.conductivity[:, i, j]
        if name == "alpha":
            return self._expansion[:, :3].mean(axis=1)
        if kind == "alpha":
            return self._expansion[:, _AXES.index(suffix)]
        constants = self._constants
        if kind == "E":
            return constants.young[:, _AXES.index(suffix)]
        if kind == "G":
            return constants.shear[:, _PLANES.index(suffix)]
        if kind == "nu":
            return constants.poisson[:, _AXES.index(suffix[0]), _AXES.index(suffix[1])]
        if name == "anisotropy":
            return constants.anisotropy
        bulk, shear = constants.bulk, constants.mean_shear
        if name == "K":
            return bulk
        if name == "G":
            return shear
        with np.errstate(divide="ignore", invalid="ignore"):
            if name == "E":
                return np.where(bulk + shear == 0.0, 0.0, 9.0 * bulk * shear / (3.0 * bulk + shear))
            return (3.0 * bulk - 2.0 * shear) / (6.0 * bulk + 2.0 * shear)

    def floors(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Least values that deviations are relative to, in the unit of each quantity, shape (N, T)."""
        columns = []
        for name in names:
            item = QUANTITIES[name]
            if not item.is_coupling:
                columns.append(np.full(len(self), item.floor))
                continue
            if name.startswith("C"):
                i, j, matrix = int(name[1]) - 1, int(name[2]) - 1, self.stiffness
            else:
                i, j = _AXES.index(name[2]), _AXES.index(name[3])
                matrix = self.conductivity if self.conductivity is not None else np.zeros((len(self), 3, 3))
            columns.append(COUPLING_SHARE * np.sqrt(np.maximum(matrix[:, i, i] * matrix[:, j, j], 0.0)))
        return np.stack(columns, axis=1) if columns else np.empty((len(self), 0))

    def gradients(self, names: Sequence[str], row: int = 0) -> Gradients:
        """Derivatives of the quantities of one cell; zero where a quantity is not known or there is none.

        Args:
            names: Quantities.
            row: The cell.
        """
        names = [canonical_name(name) for name in names]
        values = self.rows([row]).values(names)[0]
        stiffness = self._sound[row]
        calculus = _Calculus(self, row, stiffness)
        by_stiffness, by_conductivity = np.zeros((len(names), 6, 6)), np.zeros((len(names), 3, 3))
        by_fraction = np.zeros(len(names))
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            if np.isfinite(value):
                by_stiffness[place], by_conductivity[place], by_fraction[place] = calculus.gradient(name)
        return Gradients(stiffness=by_stiffness, conductivity=by_conductivity, fraction=by_fraction)


def _unit(size: int, i: int, j: int) -> NDArray[np.float64]:
    """Derivative of the entry (i, j) of a symmetric matrix."""
    matrix = np.zeros((size, size))
    matrix[i, j] += 0.5
    matrix[j, i] += 0.5
    return matrix


_NORMAL = np.pad(np.ones((3, 3)), (0, 3))
_BULK = _NORMAL / 9.0
"""Derivative of Voigt's bulk modulus by the stiffness."""
_SHEAR = (1.5 * np.pad(np.eye(3), (0, 3)) - 0.5 * _NORMAL + 3.0 * np.diag([0.0] * 3 + [1.0] * 3)) / 15.0
"""Derivative of Voigt's shear modulus by the stiffness."""
_COMPLIANT_SHEAR = (
    4.0 * (1.5 * np.pad(np.eye(3), (0, 3)) - 0.5 * _NORMAL) + 3.0 * np.diag([0.0] * 3 + [1.0] * 3)
) / 15.0
"""Derivative of the inverse of Reuss' shear modulus by the compliance."""


class _Calculus:
    """Derivatives of the quantities of one cell: (by C, by k, by f)."""

    def __init__(self, cells: CellProperties, row: int, stiffness: NDArray[np.float64]) -> None:
        self.pair, self.fraction = cells.materials, float(cells.fraction[row])
        self.c = stiffness
        inverse = np.linalg.pinv(voigt_to_mandel(stiffness), rcond=_SINGULAR, hermitian=True)
        self.s = voigt_to_mandel(inverse)  # of a compliance, the same factors lead from Mandel to Voigt

    def gradient(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        none, kind = np.zeros((6, 6)), name.rpartition("_")[0]
        if name == "volume_fraction":
            return none, np.zeros((3, 3)), 1.0
        if name == "density":
            return none, np.zeros((3, 3)), self._density()[1]
        if name == "k":
            return none, np.eye(3) / 3.0, 0.0
        if kind == "k":
            axes = name[2:]
            return none, _unit(3, _AXES.index(axes[0]), _AXES.index(axes[-1])), 0.0
        if name.startswith("specific_"):
            return self._specific(name)
        return self._by_stiffness(name), np.zeros((3, 3)), self._expansion_by_fraction(name)

    def _by_compliance(self, derivative: NDArray[np.float64]) -> NDArray[np.float64]:
        return -self.s @ derivative @ self.s

    def _by_stiffness(self, name: str) -> NDArray[np.float64]:
        if name in STIFFNESS_ENTRIES:
            return _unit(6, int(name[1]) - 1, int(name[2]) - 1)
        kind, _, suffix = name.rpartition("_")
        s = self.s
        if kind in ("E", "G"):
            i = _AXES.index(suffix) if kind == "E" else 3 + _PLANES.index(suffix)
            return self._by_compliance(-_unit(6, i, i) / max(s[i, i], _TINY) ** 2)
        if kind == "nu":
            i, j = _AXES.index(suffix[0]), _AXES.index(suffix[1])
            tension = max(s[i, i], _TINY)
            return self._by_compliance(-_unit(6, i, j) / tension + s[i, j] / tension**2 * _unit(6, i, i))
        if name == "alpha" or kind == "alpha":
            rows = range(3) if name == "alpha" else [_AXES.index(suffix)]
            derivative = sum((_unit(6, i, j) for i in rows for j in range(3)), np.zeros((6, 6)))
            return self._expansion_factor() / len(rows) * self._by_compliance(derivative)
        return self._average(name)

    def _average(self, name: str) -> NDArray[np.float64]:
        """Derivatives of averages over orientations: E, nu, K, G and the universal anisotropy."""
        bulk_voigt, shear_voigt = float((_BULK * self.c).sum()), float((_SHEAR * self.c).sum())
        if np.linalg.eigvalsh(self.c).min() <= _SINGULAR * np.abs(self.c).max():
            # Reuss' averages are zero where a direction carries no load
            bulk_reuss = shear_reuss = 0.0
            by_bulk_reuss = by_shear_reuss = np.zeros((6, 6))
        else:
            bulk_reuss = 1.0 / float((_NORMAL * self.s).sum())
            shear_reuss = 1.0 / float((_COMPLIANT_SHEAR * self.s).sum())
            by_bulk_reuss = self._by_compliance(-(bulk_reuss**2) * _NORMAL)
            by_shear_reuss = self._by_compliance(-(shear_reuss**2) * _COMPLIANT_SHEAR)
        if name == "anisotropy":
            return (
                5.0 * _SHEAR / shear_reuss
                - 5.0 * shear_voigt / shear_reuss**2 * by_shear_reuss
                + _BULK / bulk_reuss
                - bulk_voigt / bulk_reuss**2 * by_bulk_reuss
            )
        bulk, by_bulk = (bulk_voigt + bulk_reuss) / 2.0, (_BULK + by_bulk_reuss) / 2.0
        shear, by_shear = (shear_voigt + shear_reuss) / 2.0, (_SHEAR + by_shear_reuss) / 2.0
        denominator = max(3.0 * bulk + shear, _TINY)
        if name == "K":
            return by_bulk
        if name == "G":
            return by_shear
        if name == "E":
            return (9.0 * shear**2 * by_bulk + 27.0 * bulk**2 * by_shear) / denominator**2
        return 9.0 * (shear * by_bulk - bulk * by_shear) / (2.0 * denominator**2)

    def _density(self) -> tuple[float, float]:
        stiff, soft = float(self.pair.stiff.density or 0.0), float(self.pair.soft.density or 0.0)
        return soft + self.fraction * (stiff - soft), stiff - soft

    def _specific(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        kind, _, suffix = name.rpartition("_")
        kind, young_name = (kind, f"E_{suffix}") if suffix in _AXES else (name, "E")
        by_stiffness = self._by_stiffness(young_name)
        young = float((by_stiffness * self.c).sum())  # a modulus is homogeneous of degree one (Euler)
        (density, slope), power = self._density(), _POWERS[kind]
        if young <= 0.0 or density <= 0.0:
            return np.zeros((6, 6)), np.zeros((3, 3)), 0.0
        return (
            power * young ** (power - 1.0) / density * by_stiffness,
            np.zeros((3, 3)),
            -(young**power) / density**2 * slope,
        )

    def _bulk_moduli(self) -> tuple[float, float]:
        (stiff, _), (soft, _) = bulk_and_shear(self.pair)
        return stiff, soft

    def _expansion_factor(self) -> float:
        """Factor of the compliance in Levin's relation; zero where expansion does not depend on it."""
        stiff, soft = self._bulk_moduli()
        if self.pair.has_void or abs(stiff - soft) <= _ALIKE_BULK * stiff:
            return 0.0
        first, second = self.pair.stiff.thermal_expansion, self.pair.soft.thermal_expansion
        return (float(first or 0.0) - float(second or 0.0)) * 3.0 / (1.0 / stiff - 1.0 / soft)

    def _expansion_by_fraction(self, name: str) -> float:
        stiff, soft = self._bulk_moduli()
        if not name.startswith("alpha") or self.pair.has_void or abs(stiff - soft) > _ALIKE_BULK * stiff:
            return 0.0
        first, second = self.pair.stiff.thermal_expansion, self.pair.soft.thermal_expansion
        return float(first or 0.0) - float(second or 0.0)
