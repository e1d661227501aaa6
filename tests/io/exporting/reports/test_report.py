"""Reports: what they say, what they look like, and that nothing in them runs or leaves the page."""

import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vaereg.elasticity import isotropic_stiffness
from vaereg.errors import InputError
from vaereg.io.exporting.export import export, write_report
from vaereg.io.exporting.provenance import BundleItem, Provenance
from vaereg.io.exporting.reports.figures import directions_svg
from vaereg.io.exporting.reports.picture import png_bytes, render
from vaereg.io.exporting.reports.report import report_html
from vaereg.io.exporting.reports.results import asked_quantities
from vaereg.io.exporting.reports.text import figure_text, pair_text, quantity_html
from vaereg.materials import Phase, TwoPhase, choose_materials
from vaereg.targets import QUANTITIES, Targets, parse

PAIR = choose_materials("E-glass/epoxy").pairs[0]
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
ASKED = ["E_x=10", "density=:1.9", "nu_xy=0.2:0.3", "k_x=0.5", "E_z=max"]


class Reader(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def volume() -> np.ndarray:
    """Layers along x with a hole, 12 voxels per edge."""
    volume = np.zeros((12, 12, 12), dtype=np.uint8)
    volume[:, :4] = 1
    volume[3:7, :, 3:7] = 0
    return volume


def known(**others: object) -> Provenance:
    """What a verified design has: E = 11 GPa, nu = 0.25 in all directions."""
    facts: dict[str, object] = {
        "name": "bracket",
        "target": parse(ASKED),
        "stiffness": isotropic_stiffness(11.0, 0.25),
        "quantities": {"E_x": 10.5, "k_x": 0.52},
        "solver_tolerance": 1e-6,
        "solver_dtype": "float64",
        "mode": "closed-foam",
        "made_by": "0123456789abcdef",
        "seed": 3,
        "mesh_change": np.full(6, -0.031),
        "constraints": {"stiff phase connected along x, y, z": True, "no closed pores": False},
        "link": "http://localhost:8501/?E_x=10",
        "command": "vaereg design --target E_x=10",
    }
    return Provenance(**(facts | others))  # type: ignore[arg-type]


def test_results_stand_beside_what_was_asked(volume: np.ndarray) -> None:
    rows = {row.wanted.name: row for row in asked_quantities(volume, known(), PAIR)}
    assert next(iter(rows)) == "E_x"  # the largest deviation comes first
    assert rows["E_x"].value == pytest.approx(11.0) and rows["E_x"].is_solved
    assert rows["E_x"].deviation == pytest.approx(0.1) and rows["E_x"].predicted == 10.5
    assert rows["nu_xy"].deviation == 0.0 and rows["density"].deviation == 0.0
    assert not rows["k_x"].is_solved and rows["k_x"].deviation == pytest.approx(0.04)
    assert rows["E_z"].value == pytest.approx(11.0)
    low = asked_quantities(volume, known(target=Targets.of({"E_x": 20.0})), PAIR)[0]
    assert low.deviation == pytest.approx(-0.45)
    assert asked_quantities(volume, Provenance(), PAIR) == []


def test_a_report_says_everything(volume: np.ndarray) -> None:
    text = report_html(
        [BundleItem(volume=volume, provenance=known())], PAIR, voxel_size=0.1, length_unit="mm"
    )
    words = " ".join(Reader(text).words)
    for expected in (
        "E-glass / epoxy, contrast 21.5",
        "verified by the solver",
        "+10.0 %",
        "at most 1.9",
        "0.2 to 0.3",
        "not met",
        "1.2 mm (12 voxels)",
        "-3.1 %".replace("-", "−"),
        "closed foam",
        "0123456789abcdef",
        "vaereg design --target E_x=10",
        "2.54",
    ):
        assert expected in words, expected
    assert "E_x [" not in words and "<sub>x</sub>" in text


def test_names_of_users_are_only_text(volume: np.ndarray) -> None:
    """Whatever a user types stands in the page as it is, and is no tag."""
    texts = dict.fromkeys(
        ("name", "origin", "mode", "made_by", "judged_by", "link", "command", "solver_dtype"), HOSTILE
    )
    own = known(**texts, constraints={HOSTILE: True}, recipe={HOSTILE: HOSTILE})
    pair = TwoPhase(Phase(HOSTILE, 70.0, 0.2), Phase("soft", 1.0, 0.3))
    own = Provenance(
        **{**{name: getattr(own, name) for name in own.__dataclass_fields__}, "target": parse(["E_x=10"])}
    )
    items = [BundleItem(volume=volume, provenance=own), BundleItem(volume=1 - volume, provenance=own)]
    text = report_html(items, pair, length_unit=HOSTILE, title=HOSTILE)
    reader = Reader(text)
    kinds = {tag for tag, _ in reader.tags}
    assert not kinds & {"script", "img", "iframe", "object", "embed", "form", "link"}
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in "".join(reader.words)
    addresses = [attributes.get(name) for _, attributes in reader.tags for name in ("href", "src", "action")]
    assert all(re.match(r"#|data:image/png;", address) for address in addresses if address)
    assert "url(" not in text and "@import" not in text


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.example"])
def test_a_link_that_is_none_of_the_web_is_only_text(volume: np.ndarray, link: str) -> None:
    text = report_html([BundleItem(volume=volume, provenance=known(link=link))], PAIR)
    assert not [tag for tag, _ in Reader(text).tags if tag == "a"] and link in text


def test_several_designs_are_ranked(volume: np.ndarray, tmp_path: Path) -> None:
    far = known(name="far", target=parse(["E_x=20"]))
    near = known(name="near", target=parse(["E_x=11.1"]))
    bare = Provenance(name="bare")
    items = [BundleItem(volume=volume, provenance=own) for own in (far, near, bare)]
    write_report(tmp_path / "a.html", items, PAIR)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    order = re.findall(r'\d\. <a href="#design-[0-9a-f]+">(\w+)</a>', text)
    assert order == ["near", "far", "bare"]
    with pytest.raises(InputError, match="at least one volume"):
        report_html([], PAIR)
    with pytest.raises(InputError, match="positive voxel size"):
        report_html(items, PAIR, voxel_size=0.0)


@pytest.mark.parametrize("value", [0, 1])
def test_a_volume_of_one_phase_has_a_report(value: int, tmp_path: Path) -> None:
    volume = np.full((4, 5, 6), value, dtype=np.uint8)
    export(volume, TwoPhase.porous(70.0, 0.2), "html", tmp_path / "a.html")
    assert "porous" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_picture_shows_the_stiff_phase() -> None:
    """A layer at the top is seen from above as a cut face; below it is nothing."""
    volume = np.zeros((8, 8, 8), dtype=np.uint8)
    volume[:, :, 6:] = 1
    picture = render(volume, 100)
    shown = picture.pixels[..., 3] > 0
    top = picture.corners[0, 0, 1]
    assert shown[int(picture.corners[..., 1, :].mean((0, 1))[1]), int(picture.corners[..., 0].mean())]
    assert not shown[int(picture.corners[1, 0, 0, 1]) - 3, int(picture.corners[1, 0, 0, 0])]
    assert 0.0 <= top[0] <= 100.0
    assert not render(np.zeros((4, 4, 4)), 50).pixels.any()
    assert np.unique(render(np.ones((4, 4, 4)), 50).pixels.reshape(-1, 4), axis=0).shape[0] == 4  # 3 faces


def test_png_has_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4)).astype(np.uint8)
    content = png_bytes(pixels)
    chunks, place = {}, 8
    while place < len(content):
        (length,), kind = struct.unpack_from(">I", content, place), content[place + 4 : place + 8]
        chunks[kind] = content[place + 8 : place + 8 + length]
        place += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (5, 3)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 21)
    np.testing.assert_array_equal(lines[:, 1:].reshape(3, 5, 4), pixels)


def test_directions_of_an_isotropic_cell_are_a_circle() -> None:
    svg = directions_svg(isotropic_stiffness(10.0, 0.3))
    (first, *_) = re.findall(r'<polyline points="([^"]+)"', svg)
    points = np.array([[float(number) for number in point.split(",")] for point in first.split()])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 100.0, atol=0.2)
    assert directions_svg(np.diag([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])) == ""


def test_texts() -> None:
    assert [figure_text(value) for value in (7.314159, 66.0, 0.0, 12345.6, np.nan, -0.25)] == [
        "7.314",
        "66",
        "0",
        "12346",
        "–",
        "−0.25",
    ]
    assert figure_text(3.2e9) == "3.200 × 10^9"
    assert pair_text(TwoPhase.porous(70.0, 0.2)) == "70 GPa / void, porous"
    assert quantity_html("specific_sqrt_E_x") == "√E<sub>x</sub>/ρ" and quantity_html("E") == "E"
    assert not [name for name in QUANTITIES if "_" in re.sub(r"<[^>]+>", "", quantity_html(name))]
