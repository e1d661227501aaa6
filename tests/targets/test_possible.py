"""What cannot be: every refusal names the bound and its value, and nothing possible is refused."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import hashin_shtrikman_bounds, reuss_bound, voigt_bound
from vaereg.errors import InputError
from vaereg.materials import Phase, TwoPhase
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.targets import QUANTITIES, CellProperties, ImpossibleTargetError, Targets, check_possible, parse
from vaereg.targets.bounds import quantity_bounds
from vaereg.targets.wanted import Wanted

GLASS_EPOXY = TwoPhase(
    Phase("glass", 72.0, 0.22, conductivity=1.1, density=2.55, thermal_expansion=5.4),
    Phase("epoxy", 3.2, 0.36, conductivity=0.2, density=1.15, thermal_expansion=60.0),
)
FOAM = TwoPhase(
    Phase("aluminium", 70.0, 0.33, conductivity=200.0, density=2.7, thermal_expansion=23.0),
    Phase("void", 0.0, 0.0, conductivity=0.0, density=0.0),
)
ALIKE = TwoPhase(
    Phase("", 300.0, 0.1, conductivity=1.0, density=4.2, thermal_expansion=9.0),
    Phase("", 1.0, 0.4, conductivity=30.0, density=4.0, thermal_expansion=4.0),
)
PAIRS = {"solid": GLASS_EPOXY, "foam": FOAM, "alike in density": ALIKE}


def refusal(texts: list[str], pair: TwoPhase = GLASS_EPOXY, symmetry: str = "none") -> str:
    with pytest.raises(InputError) as error:
        check_possible(parse(texts), pair, symmetry=symmetry)
    return str(error.value)


def test_beyond_voigt_and_reuss() -> None:
    bound = 1.0 / np.linalg.inv(voigt_bound(0.3, GLASS_EPOXY))[0, 0]
    assert refusal(["E_x=40", "volume_fraction=0.3"]) == (
        f"E_x = 40 GPa is above Voigt's bound of {bound:.4g} GPa at a volume fraction of 0.3"
    )
    low = reuss_bound(0.5, GLASS_EPOXY)[0, 0]
    assert f"C22 = 4 GPa is below Reuss' bound of {low:.4g} GPa" in refusal(["C22=4", "volume_fraction=0.5"])
    assert "above Voigt's bound of 71.93 GPa at a volume fraction of 0.999, the best" in refusal(["E_x=80"])


def test_beyond_hashin_and_shtrikman() -> None:
    bound = float(hashin_shtrikman_bounds(0.4, GLASS_EPOXY).bulk_upper)
    cubic = ["K=15", "volume_fraction=0.4"]
    check_possible(parse(cubic), GLASS_EPOXY)
    expected = f"K = 15 GPa is above Hashin and Shtrikman's upper bound of {bound:.4g} GPa"
    assert expected in refusal(cubic, symmetry="cubic")
    assert expected in refusal([*cubic, "anisotropy=:0.001"])
    assert "Hashin and Shtrikman's" in refusal(["E=22", "volume_fraction=0.4", "anisotropy=0"])


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        (["density=5"], ["2.55 g/cm³", "5"]),
        (["density=1"], ["1.15 g/cm³", "1"]),
        (["density=1.2", "volume_fraction=0.5"], ["exclude each other", "0.500", "0.036"]),
        (["E_x=60", "density=:1.5"], ["Voigt's bound", "60 GPa", "0.25"]),
        (["E_x=60", "E_y=4"], ["exclude each other", "volume fractions"]),
        (["E_x=30", "C11=20"], ["E_x is at most C11", "20 GPa", "30"]),
        (["G_xy=9", "C66=8"], ["G_xy is at most C66", "8 GPa"]),
        (["nu_xy=0.9", "E_x=8", "E_y=20"], ["stability", "0.9", "0.6325"]),
        (["nu_xy=-9"], ["limit of stability", "-9"]),
        (["nu_xy=0.2", "nu_yx=0.4", "E_x=20", "E_y=20"], ["exclude each other", "4", "8"]),
        (["nu_xy=0.8", "nu_yx=1.5", "E_x=10"], ["stability", "1.2"]),
        (
            ["E_x=10", "E_y=10", "E_z=10", "nu_xy=0.7", "nu_xz=0.7", "nu_yz=0.7"],
            ["stability", "eigenvalue of -0.4"],
        ),
        (["C12=25", "C11=20", "C22=20"], ["stability", "25 GPa", "20 GPa"]),
        (
            ["C11=20", "C22=20", "C33=20", "C12=9", "C13=9", "C23=9", "E_x=19"],
            ["E_x = 19", "at most 14.41 GPa"],
        ),
        (["K=20", "G=12", "E=12"], ["E = 12 GPa", "give E = 30 GPa"]),
        (["E=20", "nu=0.25", "G=11"], ["G = 11 GPa", "give G = 8 GPa"]),
        (
            ["E_x=20", "specific_E_x=20"],
            ["specific_E_x = 20 GPa cm³/g", "E_x of 20 GPa", "density of 1.15", "give 7.8", " to 17.3"],
        ),
        (["specific_sqrt_E=2:", "E=9", "density=2"], ["specific_sqrt_E = 2", "give 1.5 GPa^(1/2) cm³/g"]),
        (["anisotropy=-1"], ["anisotropy = -1 is below the least value of 0"]),
        (["alpha=70"], ["alpha = 70", "Reuss' bound of 59.9"]),
        (["k_x=0.9", "k_y=0.9", "k_z=0.9", "volume_fraction=0.5"], ["Voigt's bound (parallel) of 0.65"]),
        (["k_x=0.6", "k_y=0.6", "k_z=0.6", "volume_fraction=0.5"], ["Hashin-Shtrikman", "exclude"]),
    ],
)
def test_refusals_name_bound_and_value(texts: list[str], parts: list[str]) -> None:
    message = refusal(texts)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("value", ["80", "1e20", "1e300"])
def test_targets_far_beyond_are_told_the_best_bound(value: str) -> None:
    said = refusal([f"E_x={value}"])
    assert "at a volume fraction of 0.999, the best one" in said, "differences of large numbers are all alike"


def test_nearly_isotropic_cells_may_be_a_little_beyond_the_bounds_of_isotropic_ones() -> None:
    """Along an axis by the root of the anisotropy; conduction may have axes where the stiffness has none."""
    upper = float(hashin_shtrikman_bounds(0.4, GLASS_EPOXY).shear_upper)
    targets = [f"G_xy={1.05 * upper:.4g}", "volume_fraction=0.4"]
    assert "Hashin" in refusal([*targets, "anisotropy=0"])
    check_possible(parse([*targets, "anisotropy=0.009"]), GLASS_EPOXY)
    check_possible(parse(["k_x=0.54", "volume_fraction=0.4", "anisotropy=0"]), GLASS_EPOXY)


def test_bounds_alike_at_all_volume_fractions_are_told_without_one() -> None:
    assert refusal(["anisotropy=-1"]).endswith("the least value of 0")
    assert refusal(["alpha=20"], FOAM).endswith("is below the value of the phases of 23·10⁻⁶/K")
    assert "1.6 GPa and" in refusal(["nu_xy=0.2", "nu_yx=0.4", "E_x=20", "E_y=8"])


def test_the_error_has_the_bound() -> None:
    with pytest.raises(ImpossibleTargetError) as error:
        check_possible(parse(["K=30", "volume_fraction=0.4"]), GLASS_EPOXY)
    assert error.value.name == "K" and f"{error.value.bound:.4g}" in str(error.value)


def test_foams_have_no_lower_bound_and_the_expansion_of_the_solid() -> None:
    check_possible(parse(["E_x=0.01", "k_x=0.01", "alpha_x=23", "volume_fraction=0.4"]), FOAM)
    assert "alpha_x = 12e-6".replace("e-6", "") in refusal(["alpha_x=12"], FOAM)


@pytest.mark.parametrize("digits", [3, 12])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_real_cells_are_never_refused(pair: TwoPhase, digits: int, rng: np.random.Generator) -> None:
    """Every quantity of solved cells lies between its bounds, and all of them together can be asked for,
    rounded or not.
    """
    layers = np.zeros((8, 8, 8), dtype=np.uint8)
    layers[:3] = 1
    bars = np.zeros_like(layers)
    bars[:4, :4] = bars[:4, :, :4] = bars[:, :4, :4] = 1
    smooth = gaussian_filter(rng.standard_normal((12, 12, 12)), 1.5, mode="wrap")
    for volume in (layers, bars, (smooth > 0.0).astype(np.uint8)):
        cells = CellProperties(
            stiffness=homogenize(volume, pair).stiffness[None],
            fraction=np.array([volume.mean()]),
            materials=pair,
            conductivity=conduct(volume, pair).conductivity[None],
        )
        names = list(QUANTITIES)
        values = cells.values(names)[0]
        known = {name: float(value) for name, value in zip(names, values, strict=True) if np.isfinite(value)}
        for name, value in known.items():
            bounds = quantity_bounds(name, cells.fraction, pair)
            slack = 1e-6 * max(abs(value), 1e-3)
            assert bounds.low[0] - slack <= value <= bounds.high[0] + slack, (name, value, bounds)
        positive = [
            (name, float(f"{value:.{digits}g}"))
            for name, value in known.items()
            if value > 1e-9 or not QUANTITIES[name].positive
        ]
        check_possible(
            Targets(tuple(Wanted(name=name, low=value, high=value) for name, value in positive)), pair
        )


@pytest.mark.parametrize("contrast", [1.02, 8.0, 4000.0])
@pytest.mark.parametrize("digits", [3, 8])
def test_laminates_lie_on_both_bounds_and_can_be_asked_for(contrast: float, digits: int) -> None:
    """Series and parallel moduli leave a single volume fraction, whatever their rounding."""
    pair = TwoPhase(Phase("a", contrast, 0.1, conductivity=1.0), Phase("b", 1.0, 0.3, conductivity=300.0))
    for count in range(1, 16):
        layers = np.zeros((16, 2, 2), dtype=np.uint8)
        layers[:count] = 1
        cells = CellProperties(
            stiffness=homogenize(layers, pair).stiffness[None],
            fraction=np.array([layers.mean()]),
            materials=pair,
            conductivity=conduct(layers, pair).conductivity[None],
        )
        names = ["C11", "C22", "C33", "C44", "C55", "C66", "E_x", "E_y", "k_x", "k_y", "k_z"]
        values = cells.values(names)[0]
        check_possible(
            parse([f"{name}={value:.{digits}g}" for name, value in zip(names, values, strict=True)]), pair
        )


def test_isotropic_bounds_are_inside_the_general_ones() -> None:
    fractions = np.linspace(0.05, 0.95, 7)
    for name in QUANTITIES:
        if name in ("anisotropy", "density", "volume_fraction"):
            continue
        wide = quantity_bounds(name, fractions, GLASS_EPOXY)
        tight = quantity_bounds(name, fractions, GLASS_EPOXY, isotropic=True)
        slack = 1e-9 * np.abs(wide.high)
        assert (tight.low >= wide.low - slack).all() and (tight.high <= wide.high + slack).all(), name
