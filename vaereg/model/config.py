"""Settings of the model and of its training: frozen dataclasses, presets by name, JSON in and out."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vaereg.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "PRESETS",
    "ModelConfig",
    "RunConfig",
    "TrainingConfig",
    "build_settings",
    "parse_settings",
    "preset",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Sizes of the networks; saved with the weights, enough to rebuild them."""

    latent: int = 16
    """Size D of the latent vector z."""
    components: int = 4
    """Number K of Gaussians in the prior p(z | c)."""
    widths: tuple[int, ...] = (16, 48, 96)
    """Channels of the encoder at 1/2, 1/4, 1/8 of the resolution."""
    features: int = 192
    """Width of the two heads, which read the encoder's statistics."""
    fields: int = 4
    """Gaussian fields that the decoder mixes."""
    mixing: int = 8
    """Width of the decoder's voxelwise network."""
    deterministic: bool = False
    """One fixed noise for all: a latent vector has a single realisation."""

    def __post_init__(self) -> None:
        for name in ("latent", "components", "features", "fields", "mixing"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.widths or min(self.widths) < 1:
            raise InputError(f"widths must be positive channel counts, got {self.widths}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """Settings of training."""

    held_out: tuple[str, ...] = ("minimal-surface", "voronoi")
    """Families of the data set that are left out, to measure what the model makes of the unknown."""
    steps: int = 8000
    """Optimisation steps."""
    forward_share: float = 0.35
    """Part of the run, at its begin, in which the regressor is trained alone; 1: to its end."""
    batch_size: int = 32
    """Volumes per step for the regressor and the encoder."""
    decoded: int = 8
    """Volumes of the batch that are decoded, each with two realisations of noise."""
    learning_rate: float = 1.5e-3
    """Peak of the cosine schedule (AdamW)."""
    warmup: int = 200
    """Steps of linear increase of the learning rate, and again, for the other networks, from their begin; the
    consistency terms set in after twice as many."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW [-]."""
    average: float = 0.998
    """Decay of the running mean of the weights, which is what the checkpoint ships."""
    features: str = "vgg16-imagenet"
    """Feature maps of the style loss (`vaereg.training.features`)."""
    feature_layers: int = 5
    """Feature maps used, from the finest: 5 of VGG-16 end at relu3_1."""
    style_every: int = 4
    """The style loss is evaluated every so many steps, with its weight multiplied accordingly."""
    style_volumes: int = 4
    """Decoded volumes that it compares."""
    regression_weight: float = 20.0
    """Weight of the mean absolute error of the logarithmic properties."""
    generative_weight: float = 0.02
    """Weight of the sum of the terms below, in nats, against the regression."""
    divergence_weight: float = 1.0
    """Weight of the divergence log q(z | x) - log p(z | c)."""
    assigned: bool = True
    """Components explain clusters of morphology (`training.clusters`); otherwise the mixture is left free."""
    morphology_weight: float = 30.0
    """Weight of the likelihood that a decoded volume shows the component that it was drawn from."""
    correlation_scale: float = 0.02
    """Two-point correlation: deviation that costs `statistics_weight` nats."""
    statistics_weight: float = 8.0
    """Weight of the two-point correlation term, in squared units of `correlation_scale`."""
    surface_scale: float = 0.05
    """Relative face density (faces between the phases per voxel): deviation that costs half a nat."""
    surface_weight: float = 30.0
    """Weight of the face density."""
    fraction_scale: float = 0.01
    """Volume fraction: deviation that costs half a nat."""
    consistency_scale: float = 0.1
    """Logarithmic property of the decoded volume: deviation that costs half a nat per property."""
    consistency_weight: float = 1.0
    """Weight of the deviation of the properties of decoded volumes from the wanted ones."""
    style_weight: float = 40.0
    """Weight of the squared relative Gram distance."""
    pixel_weight: float = 0.0
    """Weight of the mean squared difference from the volume itself, voxel by voxel."""
    bfloat16_on_cpu: bool = False
    """Train the encoder's convolutions in bfloat16 on a processor, too: twice as fast where it has AMX."""
    seed: int = 0
    """Seed of initialisation, batches and noise."""
    checkpoint_minutes: float = 3.0
    """Time between saved states."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2:
            raise InputError(f"need at least 1 step and a batch of 2, got {self.steps} and {self.batch_size}")
        if not 1 <= self.decoded <= self.batch_size:
            raise InputError(f"decoded must be between 1 and batch_size, got {self.decoded}")
        if not 1 <= self.style_volumes <= self.decoded:
            raise InputError(f"style_volumes must be between 1 and decoded, got {self.style_volumes}")
        if self.warmup < 1 or self.style_every < 1:
            raise InputError(
                f"warmup and style_every must be at least 1, got {self.warmup} and {self.style_every}"
            )
        if not 0.0 <= self.forward_share <= 1.0:
            raise InputError(f"forward_share must be between 0 and 1, got {self.forward_share}")
        if not self.learning_rate > 0.0 or not 0.0 <= self.average < 1.0:
            raise InputError("learning_rate must be positive and average between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """One training run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `to_json`; settings that are left out keep their defaults.

        Raises:
            InputError: The text is no JSON object, or holds an unknown setting or one of another type.
        """
        raw = parse_settings(text)
        if not isinstance(raw, dict) or not set(raw) <= {"model", "training"}:
            raise InputError('expected a JSON object with the keys "model" and "training"')
        return cls(
            model=build_settings(ModelConfig, raw.get("model", {})),
            training=build_settings(TrainingConfig, raw.get("training", {})),
        )


_Config = TypeVar("_Config", bound="DataclassInstance")


def parse_settings(text: str) -> object:
    """JSON of settings.

    Raises:
        InputError: The text is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"expected a JSON object of settings: {error}") from error


def build_settings(kind: type[_Config], values: object) -> _Config:
    """Settings of a dataclass whose fields all have defaults; those that are left out keep them.

    Raises:
        InputError: There is an unknown setting, or one of another type.
    """
    defaults = {item.name: item.default for item in dataclasses.fields(kind)}
    if not isinstance(values, dict) or not set(values) <= set(defaults):
        raise InputError(
            f"expected settings of {kind.__name__} ({', '.join(sorted(defaults))}), got {values}"
        )
    settings: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in values.items()
    }
    for key, item in settings.items():
        if not _is_like(defaults[key], item):
            raise InputError(f"expected {key} of type {type(defaults[key]).__name__}, got {item!r}")
    return kind(**settings)


def _is_like(default: object, value: object) -> bool:
    """True if a value has the type of its default; items of a tuple have the type of its first item."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(_is_like(default[0], item) for item in value)
    kind = (int, float) if isinstance(default, float) else type(default)
    return isinstance(value, kind) and isinstance(value, bool) == isinstance(default, bool)


_PUBLISHED = TrainingConfig(
    assigned=False, statistics_weight=0.0, surface_weight=0.0, consistency_weight=0.0, style_weight=400.0
)
"""Losses of the publication: style alone judges what is decoded, and the mixture finds its own components."""

PRESETS = {
    "default": RunConfig(),
    "continued": RunConfig(
        training=TrainingConfig(
            steps=8000,
            learning_rate=7e-4,
            warmup=20,
            forward_share=1.0,
            average=0.995,
            bfloat16_on_cpu=True,
            checkpoint_minutes=2.0,
        )
    ),
    "continued-decoder": RunConfig(training=TrainingConfig(steps=2500, learning_rate=7e-4, warmup=20)),
    "single-gaussian": RunConfig(model=ModelConfig(components=1), training=TrainingConfig(assigned=False)),
    "no-style": RunConfig(training=TrainingConfig(style_weight=0.0)),
    "paper": RunConfig(model=ModelConfig(deterministic=True), training=_PUBLISHED),
    "pixel": RunConfig(
        model=ModelConfig(deterministic=True),
        training=dataclasses.replace(_PUBLISHED, style_weight=0.0, pixel_weight=2000.0),
    ),
    "tiny": RunConfig(
        model=ModelConfig(latent=4, components=2, widths=(8, 16), features=32, fields=2, mixing=4),
        training=TrainingConfig(
            held_out=(),
            steps=40,
            forward_share=0.25,
            batch_size=8,
            decoded=2,
            style_volumes=2,
            warmup=5,
            average=0.9,
            features="random-multiscale",
            feature_layers=2,
        ),
    ),
}
"""Runs by name. `default` trains a model, `tiny` checks an installation in seconds. Two go on with a trained
model (`--continue-from`): `continued` trains its encoder and regressor on further data, `continued-decoder`
all but these. The others take claims away one by one. `paper`: as published (arXiv 2402.17806), save for the
networks; `pixel`: the same, with a voxelwise loss in place of style; `single-gaussian`: one component in
place of a mixture; `no-style`: two-point statistics alone."""


def preset(name: str) -> RunConfig:
    """A run by name; raises ValueError where there is none of that name."""
    if name not in PRESETS:
        raise InputError(f"expected a preset of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
