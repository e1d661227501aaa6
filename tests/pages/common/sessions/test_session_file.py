"""The session file: round trip, bounds, and files that are none."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pages.parts.common.sessions import session_file, shortlist
from pages.parts.common.sessions.session_file import Session, read_session, write_session
from pages.parts.common.sessions.shortlist import ShortlistItem
from vaereg.elasticity import isotropic_stiffness
from vaereg.materials import TwoPhase


def item(seed: int = 0, size: int = 8, *, name: str | None = None) -> ShortlistItem:
    volume = np.random.default_rng(seed).integers(0, 2, (size, size, size), dtype=np.uint8)
    return ShortlistItem(name=name or f"design {seed}", volume=volume, origin="test")


def full_item(seed: int = 0) -> ShortlistItem:
    """An item with everything that may be known of one."""
    rng = np.random.default_rng(seed)
    return replace(
        item(seed),
        targets={"C11": 60.0, "C22": (30.0, 40.5), "volume_fraction": 0.5},
        mean=rng.random(6),
        std=rng.random(6),
        stiffness=isotropic_stiffness(40.0, 0.3) + 0.1,
        tolerance=1e-3,
        latent=rng.random(16),
        component=2,
        mode="fibres",
        seed=7,
        checkpoint="0123456789abcdef",
    )


def test_a_session_comes_back_exactly() -> None:
    inputs = {"C11": 60.0, "fix_C11": True, "C22": [30.0, 40.5], "seed": 3}
    session = Session(items=[full_item(0), item(1, 9)], inputs=inputs)
    content = write_session(session)
    result = read_session(BytesIO(content), name="session.zip")
    assert result.inputs == inputs
    assert [current.name for current in result.items] == ["design 0", "design 1"]
    for first, other in zip(session.items, result.items, strict=True):
        np.testing.assert_array_equal(first.volume, other.volume)
        for key in ("mean", "std", "stiffness", "latent"):
            before, after = getattr(first, key), getattr(other, key)
            assert (before is None) == (after is None)
            if before is not None:
                np.testing.assert_array_equal(before, after)
        for key in ("origin", "targets", "component", "mode", "seed", "checkpoint", "tolerance", "hash"):
            assert getattr(first, key) == getattr(other, key)
    assert write_session(result) == content


def test_a_file_of_version_01_is_read() -> None:
    """The file was written by version 0.1: two designs of 24³ voxels with targets, a component and a seed."""
    path = Path(__file__).with_name("session-0.1.zip")
    with path.open("rb") as file:
        session = read_session(file, name=path.name)
    assert session.inputs["C11"] == 55.0 and session.inputs["component"] == "2"
    first, second = session.items
    assert first.name == "old #1, C11 = 55" and first.volume.shape == second.volume.shape == (24, 24, 24)
    assert first.wanted is not None and first.wanted.names == ("C11", "C22")
    assert first.wanted.range_of("C22") == (30.0, 41.5)
    assert first.materials == TwoPhase() and not first.verified and first.mode == ""


def test_an_empty_session_is_one() -> None:
    assert read_session(BytesIO(write_session(Session(items=[], inputs={}))), name="a").items == []


def changed(files: Mapping[str, bytes | None] | None = None, **index: object) -> bytes:
    """A good session file with members and entries of its JSON replaced, or left out where None."""
    buffer = BytesIO()
    good = zipfile.ZipFile(BytesIO(write_session(Session(items=[full_item()], inputs={}))))
    members: dict[str, bytes | None] = {name: good.read(name) for name in good.namelist()}
    text = json.loads(members["session.json"] or b"") | index
    members["session.json"] = json.dumps(text).encode()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | dict(files or {})).items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()


def entry(**changes: object) -> dict[str, Any]:
    """The JSON of a good item, changed."""
    return {"name": "a", "origin": "b", "targets": {}, "volume": "volume-01.npy"} | changes


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def lying() -> bytes:
    """An archive whose directory says that a member is small."""
    content = bytearray(changed({"volume-01.npy": bytes(40 * 2**20)}))
    at = content.rindex(b"volume-01.npy") - 46  # its entry in the directory; the size is at byte 24
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(b"", "none or damaged", id="empty"),
        pytest.param(b"\x80\x04\x95K\x00.", "none or damaged", id="pickle"),
        pytest.param(changed()[:-40], "none or damaged", id="truncated"),
        pytest.param(changed({"session.json": None}), "lacks", id="no index"),
        pytest.param(changed({"volume-01.npy": None}), "lacks", id="no volume"),
        pytest.param(changed({"session.json": b"[" * 100_000}), "JSON", id="nested"),
        pytest.param(changed({"session.json": b'{"format": NaN}'}), "JSON", id="not a number"),
        pytest.param(changed({"session.json": b"[]"}), "another kind", id="a list"),
        pytest.param(changed({"session.json": bytes(2**21)}), "at most", id="large index"),
        pytest.param(changed(format="other"), "another kind", id="other format"),
        pytest.param(changed(format_version=2), "version 1, got 2", id="other version"),
        pytest.param(changed(items={}), "list of items", id="no list"),
        pytest.param(changed(items=[3]), "an item with names", id="no item"),
        pytest.param(changed(items=[entry(name=3)]), "name", id="name"),
        pytest.param(changed(items=[entry(name="\ud800")]), "Unicode", id="half a character"),
        pytest.param(changed(items=[entry(volume="../../etc/passwd")]), "lacks", id="path"),
        pytest.param(changed(items=[entry(mean=[1, 2])]), "mean", id="short mean"),
        pytest.param(changed(items=[entry(stiffness=[[1], [2, 3]])]), "stiffness", id="ragged"),
        pytest.param(changed(items=[entry(stiffness=np.zeros((6, 6)).tolist())]), "definite", id="floppy"),
        pytest.param(changed(items=[entry(stiffness=np.tri(6).tolist())]), "symmetric", id="not symmetric"),
        pytest.param(changed(items=[entry(tolerance=-1.0)]), "tolerance", id="negative tolerance"),
        pytest.param(changed(items=[entry(latent=["x"])]), "latent", id="text for numbers"),
        pytest.param(changed(items=[entry(latent=[1e308])]), "latent", id="latent beyond float32"),
        pytest.param(changed(items=[entry(std=[-1.0] * 6)]), "std", id="negative std"),
        pytest.param(changed(items=[entry(mean=[0.0] * 6)]), "mean", id="mean of zero"),
        pytest.param(changed(items=[entry(stiffness=(1e307 * np.eye(6)).tolist())]), "stiffness", id="huge"),
        pytest.param(changed(items=[entry(stiffness=(1e-320 * np.eye(6)).tolist())]), "definite", id="tiny"),
        pytest.param(changed(items=[entry(), entry()]), "twice", id="a volume named twice"),
        pytest.param(changed(items=[entry(mode=7)]), "mode", id="mode"),
        pytest.param(changed(items=[entry(component=-1)]), "component", id="negative"),
        pytest.param(changed(items=[entry(targets={"C11": "60"})]), "target", id="target"),
        pytest.param(changed(items=[entry(targets={"C11": [1, 2, 3]})]), "target", id="three ends"),
        pytest.param(changed(inputs=[1]), "inputs", id="inputs"),
        pytest.param(changed({"volume-01.npy": npy(np.array([{}], dtype=object))}), "pickled", id="objects"),
        pytest.param(changed({"volume-01.npy": npy(np.full((8, 8, 8), 3))}), "0 and 1", id="labels"),
        pytest.param(changed({"volume-01.npy": npy(np.zeros((8, 8)))}), "shape", id="flat"),
        pytest.param(changed({"volume-01.npy": npy(np.eye(4)[..., None])}), "at least 8 voxels", id="small"),
        pytest.param(changed({"volume-01.npy": bytes(40 * 2**20)}), "at most", id="zip bomb"),
        pytest.param(lying(), "damaged", id="zip bomb that lies"),
    ],
)
def test_what_is_no_session_is_refused_in_one_line(content: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        read_session(BytesIO(content), name="bad.zip")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("bad.zip")


def test_a_session_of_too_many_is_refused() -> None:
    items = [item(seed) for seed in range(shortlist.MAX_ITEMS + 1)]
    with pytest.raises(ValueError, match="at most 24 designs"):
        read_session(BytesIO(write_session(Session(items=items, inputs={}))), name="many")


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Members that are inflated from now on."""
    inflated: list[str] = []
    original = zipfile.ZipFile.open

    def note(archive: zipfile.ZipFile, member: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        inflated.append(member)
        return original(archive, member, *args, **kwargs)

    monkeypatch.setattr(zipfile.ZipFile, "open", note)
    return inflated


def test_records_are_counted_before_a_volume_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """17 kB with 40,000 records of one volume would keep a server busy for hours."""
    content = changed(items=[entry()] * 8000)
    inflated = counting(monkeypatch)
    with pytest.raises(ValueError, match="at most 24 designs, got 8000"):
        read_session(BytesIO(content), name="many")
    assert inflated == ["session.json"]


def test_inflated_bytes_are_summed_before_a_volume_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"volume-{number:02d}.npy" for number in range(1, 4)]
    content = changed(
        {name: bytes(shortlist.MAX_VOXELS // 2) for name in names},
        items=[entry(volume=name) for name in names],
    )
    inflated = counting(monkeypatch)
    with pytest.raises(ValueError, match="bytes of volumes"):
        read_session(BytesIO(content), name="large")
    assert inflated == ["session.json"]


def test_an_archive_of_many_members_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    content = changed({f"{number}": b"" for number in range(2000)})
    monkeypatch.setattr(session_file.zipfile, "ZipFile", None)  # not even its directory is read
    with pytest.raises(ValueError, match="more members"):
        read_session(BytesIO(content), name="members")


def test_a_member_stored_twice_is_refused() -> None:
    buffer = BytesIO(changed())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("volume-01.npy", b"")
    with pytest.raises(ValueError, match="twice"):
        read_session(buffer, name="twice")


def test_a_stiffness_of_a_file_is_not_verified() -> None:
    (result,) = read_session(BytesIO(changed()), name="a").items or [None]
    assert result is not None and result.from_file and not result.verified
