"""The link of a request: there and back, links of version 0.1 and with anything in them."""

import math
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from pages.parts.common.requests.request import Request, VoxelLength, default_request, phase_text
from pages.parts.common.requests.request_link import LINK_NAMES, read_link, read_phase, read_stored
from vaereg.inverse.constraints import Constraints
from vaereg.materials import VOID, Phase, TwoPhase, phase_by_name
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.targets import Wanted, parse

OWN = Phase("alloy, own", 70.0, 0.3, conductivity=120.5, density=2.7, thermal_expansion=-1.5)
REQUEST = Request(
    pair=TwoPhase(OWN, phase_by_name("epoxy")),
    wanted=(
        *parse(["E_x=20", "nu_xy=0.2:0.3", "density=:1.9@2", "k_z=max"]),
        Wanted(name="E_z", low=3.0, goal="max", weight=2.0),
    ),
    constraints=Constraints(
        min_feature_stiff=3.0,
        min_feature_soft=2.0,
        connected={"stiff": "xyz", "soft": "xz"},
        no_islands=True,
        no_closed_pores=True,
        symmetry="cubic",
    ),
    modes=("closed-foam", "open-foam"),
    count=5,
    size=64,
    seed=7,
    voxel=VoxelLength(value=10.0, unit="µm"),
)


@pytest.fixture(scope="module")
def modes_checkpoint(modes_checkpoint_path: object) -> Checkpoint:
    return load_checkpoint(modes_checkpoint_path)  # type: ignore[arg-type]


def test_a_link_gives_the_request_back(modes_checkpoint: Checkpoint) -> None:
    for request in (REQUEST, Request(), replace(REQUEST, constraints=Constraints(min_feature_soft=4.0))):
        read, notices = read_link(parse_qs(request.text()), modes_checkpoint)
        assert (read, notices) == (request, [])
        assert read_stored(request.stored(), modes_checkpoint)[0] == request
    assert {name for name, _ in REQUEST.link()} <= set(LINK_NAMES)


def test_phases_of_links() -> None:
    for phase in (OWN, VOID, phase_by_name("E-glass"), Phase("", 120.0, 0.3), Phase("a;b", 1.0, 0.2)):
        assert read_phase(phase_text(phase)) == replace(phase, name=phase.name.replace(";", ","))
    for text in ("unobtainium", "x;E=1", "x;E=nan;nu=0.3", "x;E=1;nu=0.7", "x;nonsense=1", ";"):
        with pytest.raises(ValueError, match="expected"):
            read_phase(text)


def test_links_of_version_01(tiny_checkpoint: Checkpoint, modes_checkpoint: Checkpoint) -> None:
    link = "C11=55&C22_is=range&C22_range=41.5&C22_range=30&C33_is=free&volume_fraction_is=value"
    request, notices = read_link(
        parse_qs(f"{link}&volume_fraction=0.4&count=3&component=2&seed=4"), tiny_checkpoint
    )
    assert request is not None and notices == []
    assert [item.text() for item in request.wanted] == ["C11=55", "C22=30:41.5", "volume_fraction=0.4"]
    assert (request.count, request.seed, request.component) == (3, 4, 1)
    assert request.components(tiny_checkpoint) == (1,)
    # what was as in a new session was left out
    request, _ = read_link({"seed": ["3"]}, tiny_checkpoint)
    assert request == replace(default_request(tiny_checkpoint), seed=3)
    request, notices = read_link({"component": ["3"]}, modes_checkpoint)
    assert request is not None and "a component of another model" in notices[0]
    inputs = {"C11": 55.0, "C22_is": "free", "C33_range": [1.0, 2.0], "C33_is": "range", "count": 2}
    request, _ = read_stored(inputs, tiny_checkpoint)
    assert request is not None and [item.text() for item in request.wanted] == ["C11=55", "C33=1:2"]
    _, notices = read_stored({**inputs, "component": "2"}, modes_checkpoint)
    assert "The session asks for a component" in notices[0]


@pytest.mark.parametrize("name", LINK_NAMES)
@pytest.mark.parametrize(
    "value", ["nan", "1e999", "-inf", "", "x" * 5000, "<b>", "E_x=1e300", "\ud800", "-1"]
)
def test_a_link_with_anything_in_it_is_read(name: str, value: str, tiny_checkpoint: Checkpoint) -> None:
    request, notices = read_link({name: [value] * 30, f"{name}_is": ["value"]}, tiny_checkpoint)
    assert request is None or all(len(notice) < 400 for notice in notices)
    for item in request.wanted if request else ():
        assert all(math.isinf(end) or abs(end) <= 1e12 for end in (item.low, item.high))


def test_names_that_are_nearly_right_are_told(tiny_checkpoint: Checkpoint) -> None:
    strange = {"mode": ["fibres"], "E_x": ["20"], "utm_source": ["mail"], "": [""], "x" * 5000: ["1"]}
    request, notices = read_link({"seed": ["3"], **strange}, tiny_checkpoint)
    assert request is not None and request.seed == 3
    assert [notice.partition(". ")[2] for notice in notices] == [
        "Expected modes, got mode=….",
        "Expected target=E_x=…, got E_x=….",
    ]


def test_what_a_link_says_in_vain_is_told(modes_checkpoint: Checkpoint) -> None:
    request, notices = read_link(
        parse_qs("target=E_x=20&target=E_x=30&modes=nope&modes=Fibres"), modes_checkpoint
    )
    assert request is not None and [item.text() for item in request.wanted] == ["E_x=30"]
    assert request.modes == ("fibres",)
    assert notices == [
        "A mode of the link was left out. There is none named 'nope'.",
        "The link asks for E_x more than once: the last holds.",
    ]


def test_no_link_is_no_request(tiny_checkpoint: Checkpoint) -> None:
    assert read_link({"part": ["Modes"]}, tiny_checkpoint) == (None, [])
    request, notices = read_link({"target": ["none"]}, tiny_checkpoint)
    assert request is not None and request.targets is None and notices == []
    _, notices = read_link({"stiff": ["void"], "soft": ["void"]}, tiny_checkpoint)
    assert "two voids" in notices[0]
