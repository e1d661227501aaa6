"""Stiffness matrices that tests share [GPa], and a pair of phases."""

import numpy as np

from vaereg.materials import TwoPhase

PAIR = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.5, nu_stiff=0.2, nu_soft=0.35)
"""Phases of the volumes that tests export."""


def cubic_stiffness(c11: float, c12: float, c44: float) -> np.ndarray:
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3)
    stiffness[:3, :3] += c12
    return stiffness


COPPER = cubic_stiffness(168.4, 121.4, 75.4)  # GPa


def orthotropic_stiffness(young: list[float], shear: list[float], poisson: list[float]) -> np.ndarray:
    """Hooke's law, inverted; `poisson` holds nu_yz, nu_xz, nu_xy."""
    compliance = np.diag([1.0 / item for item in [*young, *shear]])
    for (i, j), nu in zip([(1, 2), (0, 2), (0, 1)], poisson, strict=True):
        compliance[i, j] = compliance[j, i] = -nu / young[i]
    return np.linalg.inv(compliance)


# carbon fibre composite, transversely isotropic about x: G_yz = E_y / (2 (1 + nu_yz))
LAMINA = orthotropic_stiffness([140.0, 10.0, 10.0], [10.0 / 2.8, 5.0, 5.0], [0.4, 0.3, 0.3])


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def random_stiffness(rng: np.random.Generator) -> np.ndarray:
    root = rng.standard_normal((6, 6))
    return root @ root.T + np.eye(6)
