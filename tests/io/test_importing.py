"""Files of other programs as their owners mean them: axes, spacing, components, phases, and how they were
taken."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from reading import CASES, PAGES, VOLUME, assert_read, taken

from vaereg.cli import main
from vaereg.errors import InputError
from vaereg.io.importing import AutomaticChoices, Part, import_volume, to_cubes
from vaereg.io.readers import RawLayout
from vaereg.microstructure.segmentation import Segmentation

FIBRE_ALONG_Z = (5.10, 5.10, 33.03)
STRETCHED = (4.247, 4.247, 5.079, 1.193, 1.193, 1.151)
"""Elements three times as long along z, by an independent finite element program."""


@pytest.mark.parametrize(
    ("name", "flags", "diagonal"),
    [
        ("imagej_fibre_along_z.tif", [], FIBRE_ALONG_Z),
        ("msutils_fibre_along_z.h5", [], FIBRE_ALONG_Z),
        ("uvw_uncompressed.vti", [], FIBRE_ALONG_Z),
        ("imagej_over4GB_style.tif", [], FIBRE_ALONG_Z),
        ("dream3d_cubic.h5", ["--labels", "2"], FIBRE_ALONG_Z),
        ("lzw.tif", [], FIBRE_ALONG_Z),
        ("sparse.h5", [], FIBRE_ALONG_Z),
        ("almost_one.npy", ["--threshold", "0.5"], FIBRE_ALONG_Z),
        ("spacing_1_1_3.vti", [], STRETCHED),
        ("imagej_spacing_1_1_3.tif", [], STRETCHED),
    ],
)
def test_cases_have_their_right_values(
    name: str,
    flags: list[str],
    diagonal: tuple[float, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "r.json"
    assert main(["homogenize", str(CASES / name), "--out", str(out), *flags]) == 0
    content = json.loads(out.read_text(encoding="utf-8"))
    result = np.diag(content["results"][0]["stiffness"])[: len(diagonal)]
    np.testing.assert_allclose(result, diagonal, atol=0.0051 if len(diagonal) == 3 else 0.00051)
    assert content["read_as"]["axes_from"]
    assert f"{name} read as " in capsys.readouterr().err


def test_nearly_incompressible_phases_do_not_lock(tmp_path: Path) -> None:
    command = ["homogenize", str(CASES / "sphere10.npy"), "--out", str(tmp_path / "r.json"), "--nu", "0.49"]
    assert main(command) == 0
    (result,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert (result["stiffness"][0][0] - result["stiffness"][0][1]) / 2 == pytest.approx(2.2, abs=0.1)
    assert result["element"] == "bbar"


def test_phases_of_their_own_and_voids(tmp_path: Path) -> None:
    """A Poisson ratio per phase, and a void: what a laminate of x is along its layers."""
    laminate = np.zeros((4, 4, 4), np.uint8)
    laminate[:2] = 1
    np.save(tmp_path / "a.npy", laminate)
    command = ["homogenize", str(tmp_path / "a.npy"), "--out", str(tmp_path / "r.json")]
    assert main([*command, "--nu-stiff", "0.2", "--nu-soft", "0.4"]) == 0
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content["materials"]["stiff"]["poisson_ratio"] == 0.2
    assert content["materials"]["soft"]["poisson_ratio"] == 0.4
    shear = 0.5 * (120.0 / 2.4 + 2.4 / 2.8)
    assert content["results"][0]["stiffness"][3][3] == pytest.approx(shear, rel=1e-6)
    assert main([*command, "--e-soft", "0"]) == 0
    (result,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert result["stiffness"][0][0] == pytest.approx(0.0, abs=1e-9)
    assert "xx" in result["unloaded"]


def test_negative_labels_need_no_equals_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stiffness = []
    for flags in (["--labels", "-1,0"], ["--labels=-1,0"], ["--threshold", "-1e0"], ["--threshold=-1.0"]):
        command = ["homogenize", str(CASES / "minus_one.npy"), "--out", str(tmp_path / "r.json"), *flags]
        assert main(command) == 0
        content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        stiffness.append(content["results"][0]["stiffness"])
    assert stiffness[0] == stiffness[1] and stiffness[2] == stiffness[3]
    assert stiffness[0] != stiffness[2]
    capsys.readouterr()
    assert main(["homogenize", str(CASES / "minus_one.npy"), "--out", "r.json", "--labels", "-7,0"]) == 2
    assert "expected labels of the file, got -7" in capsys.readouterr().err


def test_almost_one_shows_its_digits_and_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["homogenize", str(CASES / "almost_one.npy"), "--out", str(tmp_path / "r.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "0.9999999" in line and "--threshold" in line and "--labels" in line


def test_spacing_is_read_from_vti_and_imagej() -> None:
    for name, source in (("spacing_1_1_3.vti", "Spacing"), ("imagej_spacing_1_1_3.tif", "ImageJ")):
        imported = taken(CASES / name)
        assert imported.voxel_size == (1.0, 1.0, 3.0)
        assert imported.read_as.voxel_size_from == source
        assert not imported.cubes
        cubes = to_cubes(imported)
        assert cubes.volume.shape == (12, 12, 36) and cubes.cubes
        np.testing.assert_array_equal(cubes.volume[:, :, ::3], imported.volume)
        assert "parted 1 x 1 x 3" in cubes.read_as.notes[-1]


def test_the_user_overrules_the_file(tmp_path: Path) -> None:
    imported = taken(CASES / "imagej_spacing_1_1_3.tif", axes="xyz", voxel_size=(2.0, 2.0, 2.0))
    assert imported.cubes
    assert imported.read_as.notes == ("the file says zyx", "the file says voxels of 1 x 1 x 3")
    for axes in ("xyy", "xy", "abc", ""):
        with pytest.raises(InputError, match="expected axes such as zyx"):
            taken(CASES / "sparse.h5", axes=axes)
    with pytest.raises(InputError, match=r"expected axes for shape \(12, 12, 12\), got 'nxyz'"):
        taken(CASES / "sparse.h5", axes="nxyz")
    with pytest.raises(InputError, match="positive edges"):
        taken(CASES / "sparse.h5", voxel_size=(1.0, 0.0, 1.0))
    (tmp_path / "a.raw").write_bytes(PAGES.tobytes())
    assert_read(tmp_path / "a.raw", raw=RawLayout(shape=(4, 5, 6)), axes="zyx")


def test_order_of_the_steps(tmp_path: Path) -> None:
    """Number, phases, part: the part is of the phases of the volume that was chosen."""
    stack = np.stack([VOLUME * 0, VOLUME * 7 + 2])
    np.save(tmp_path / "a.npy", stack)
    part = Part(start=(1, 0, 2), shape=(4, 5, 2))
    imported = taken(tmp_path / "a.npy", number=2, segmentation=Segmentation(threshold="otsu"), part=part)
    np.testing.assert_array_equal(imported.volume, VOLUME[1:5, :, 2:4])
    assert imported.read_as.shape == (4, 5, 2) and imported.read_as.part == part
    assert "volume 2 of 2" in imported.read_as.notes
    assert "values above 5.5 stiff (Otsu)" in imported.read_as.sentence()
    with pytest.raises(InputError, match="a volume from 1 to 2, got 3"):
        taken(tmp_path / "a.npy", number=3)


def test_twenty_labels_are_not_a_grey_image(tmp_path: Path) -> None:
    grains = np.random.default_rng(0).integers(0, 20, (8, 8, 8))
    np.save(tmp_path / "a.npy", grains)
    imported = import_volume(tmp_path / "a.npy", AutomaticChoices())
    np.testing.assert_array_equal(imported.volume, grains == 19)
    assert imported.read_as.phases == "labels 19 stiff, others soft"
    np.save(tmp_path / "b.npy", np.random.default_rng(0).normal(size=(8, 8, 8)))
    assert "Otsu" in import_volume(tmp_path / "b.npy", AutomaticChoices()).read_as.phases


def test_edges_that_are_no_multiples_are_refused() -> None:
    with pytest.raises(InputError, match="small multiples of the shortest one"):
        to_cubes(taken(CASES / "sparse.h5", voxel_size=(1.0, 1.0, 1.37)))
    with pytest.raises(InputError, match="at most 2000 voxels after"):
        to_cubes(taken(CASES / "sparse.h5", voxel_size=(1.0, 1.0, 2.0)), max_voxels=2000)


def test_bytes_and_streams_are_files_too() -> None:
    content = (CASES / "imagej_fibre_along_z.tif").read_bytes()
    whole = taken(CASES / "imagej_fibre_along_z.tif").volume
    for source in (content, io.BytesIO(content)):
        np.testing.assert_array_equal(import_volume(source, name="a.tif").volume, whole)


def test_a_mirrored_cell_is_periodic_and_orthotropic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vaereg.generators.families import gaussian_field

    whole = gaussian_field(24, (2.5, 2.5, 2.5), 0.5, generator=np.random.default_rng(2))
    np.save(tmp_path / "scan.npy", whole[:10, 3:13, :10])
    command = ["homogenize", str(tmp_path / "scan.npy"), "--out", str(tmp_path / "r.json"), "--nu", "0.2"]
    assert main(command) == 0
    assert "is not periodic: " in capsys.readouterr().err
    (alone,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert main([*command, "--mirror"]) == 0
    captured = capsys.readouterr().err
    assert "is not periodic" not in captured and "repeated instead of mirrored" in captured
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (mirrored,) = content["results"]
    assert "mirror images" in content["read_as"]["notes"][0]
    stiffness = np.array(mirrored["stiffness"])
    np.testing.assert_allclose(stiffness[:3, 3:], 0.0, atol=1e-5 * stiffness.max())
    assert mirrored["periodic"]["stiffness"] == alone["stiffness"]
    expected = np.abs(np.subtract(alone["stiffness"], stiffness)).max() / stiffness.max()
    assert mirrored["periodic"]["largest_change"] == pytest.approx(expected)
    with pytest.raises(InputError, match="at most 250 voxels to mirror, got 1728"):
        taken(CASES / "sparse.h5", mirror=True, max_voxels=2000)


def test_predict_parts_voxels_into_cubes_and_says_so(
    tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(CASES / "spacing_1_1_3.vti"), "--out", str(tmp_path / "r.json")]
    command += ["--checkpoint", str(tiny_checkpoint_path)]
    assert main(command) == 0
    assert "parted 1 x 1 x 3 into cubes" in capsys.readouterr().err
    read_as = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["read_as"]
    assert read_as["shape"] == [12, 12, 36] and read_as["voxel_size"] == [1.0, 1.0, 1.0]
    assert main([*command, "--voxel-size", "1,1,1.37"]) == 2
    assert "small multiples of the shortest one" in capsys.readouterr().err
