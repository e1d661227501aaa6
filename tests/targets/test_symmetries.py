"""What a symmetry makes of properties and targets, against the stiffness of cells that have it."""

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.materials import choose_materials
from vaereg.microstructure.symmetry import SYMMETRIES, symmetrise_volume
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.targets import QUANTITIES, CellProperties, check_possible, parse
from vaereg.targets.symmetries import _diagonal_of, _equal_to, symmetrised

PAIR = choose_materials("E-glass/epoxy").pairs[0]


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return sample("fibres", 16, relative=True, generator=np.random.default_rng(3)).volume


@pytest.mark.parametrize("symmetry", [name for name in SYMMETRIES if name != "none"])
def test_quantities_vanish_and_are_equal_as_in_a_solved_cell(symmetry: str, volume: np.ndarray) -> None:
    phases = symmetrise_volume(volume, symmetry)
    cell = CellProperties(
        stiffness=homogenize(phases, PAIR, rtol=1e-8).stiffness[None],
        fraction=np.array([phases.mean()]),
        materials=PAIR,
        conductivity=conduct(phases, PAIR, rtol=1e-8).conductivity[None],
    )
    names = list(QUANTITIES)
    values = dict(zip(names, cell.values(names)[0], strict=True))
    for name in names:
        if _diagonal_of(name)[0]:
            assert abs(values[name]) < 1e-6
        for other in _equal_to(name, symmetry):
            assert values[other] == pytest.approx(values[name], rel=1e-5)
    distinct = {"orthotropic": ("E_x", "E_y"), "tetragonal": ("E_x", "E_z"), "cubic": ("C11", "C12")}[
        symmetry
    ]
    assert distinct[1] not in _equal_to(distinct[0], symmetry)


@pytest.mark.parametrize(
    ("symmetry", "words", "message"),
    [
        ("orthotropic", ["C26=-0.5"], "C26 = -0.5 GPa cannot be had: it is 0 in every orthotropic cell"),
        ("cubic", ["k_xy=0.1:0.2"], r"k_xy = 0.1 W/\(m K\) cannot be had: it is 0 in every cubic cell"),
        ("cubic", ["E_x=20", "E_y=8"], "E_x = 20 GPa and E_y = 8 GPa exclude each other: they are equal"),
        ("tetragonal", ["nu_zx=0.3:", "nu_zy=:0.2"], "nu_zx = 0.3 and nu_zy = 0.2 exclude each other"),
        ("tetragonal", ["C44=5", "C55=3"], "C44 = 5 GPa and C55 = 3 GPa exclude each other"),
    ],
)
def test_targets_that_a_symmetry_excludes_are_refused(symmetry: str, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_possible(parse(words), PAIR, symmetry=symmetry)
    check_possible(parse(words), PAIR)


@pytest.mark.parametrize(
    ("symmetry", "words"),
    [
        ("orthotropic", ["E_x=20", "E_y=8", "C26=-1e-5"]),
        ("tetragonal", ["E_x=20.0", "E_z=8"]),
        ("cubic", ["E_x=20.0", "E_y=20.1", "C14=0", "C12=:8"]),
    ],
)
def test_what_a_symmetry_allows_is_not_refused(symmetry: str, words: list[str]) -> None:
    check_possible(parse(words), PAIR, symmetry=symmetry)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_symmetrised_cells_have_the_symmetry(symmetry: str, volume: np.ndarray) -> None:
    stiffness = homogenize(volume, PAIR, rtol=1e-6).stiffness[None]
    conductivity = conduct(volume, PAIR, rtol=1e-6).conductivity[None]
    cell = CellProperties(
        stiffness=stiffness, fraction=np.array([0.3]), materials=PAIR, conductivity=conductivity
    )
    names = list(QUANTITIES)
    made = symmetrised(cell, symmetry)
    values = dict(zip(names, made.values(names)[0], strict=True))
    if symmetry == "none":
        assert made is cell
        return
    for name in names:
        assert not _diagonal_of(name)[0] or values[name] == 0.0
        for other in _equal_to(name, symmetry):
            assert values[other] == pytest.approx(values[name], rel=1e-9)
    assert made.conductivity is not None
    trace = stiffness[0, :3, :3].trace(), stiffness[0, 3:, 3:].trace(), conductivity[0].trace()
    own = made.stiffness[0, :3, :3].trace(), made.stiffness[0, 3:, 3:].trace(), made.conductivity[0].trace()
    np.testing.assert_allclose(own, trace)
