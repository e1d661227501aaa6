"""Settings of the modes and of their training."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Self

from vaereg.errors import InputError
from vaereg.model.config import build_settings, parse_settings

__all__ = ["MODES_PRESETS", "ModesConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModesConfig:
    """Sizes of the networks of the modes, and the settings of their training; saved with the weights."""

    latent: int = 16
    """Size D of the latent vector z."""
    steps: int = 12_000
    """Optimisation steps of all networks."""
    encoder_steps: int = 16_000
    """Further steps of the encoder alone, which need no decoding; 0 for none."""
    batch_size: int = 64
    """Volumes per step for the encoder, the geometry and the regressor; all modes are equally frequent."""
    drawn: int = 600
    """Volumes of each class that the generators make for the training, without labels: the encoder and the
    geometry learn from as many of them as of labelled ones; 0 for none."""
    irregular: int = 3_000
    """Volumes that tell the surface of the irregular mode (`vaereg.training.modes.surface`); 0 for none."""
    decoded: int = 5
    """Volumes that are decoded, each with two realisations, of modes that differ."""
    decode_every: int = 6
    """Steps from one decoding to the next."""
    learning_rate: float = 2e-3
    """Peak of the cosine schedule (AdamW)."""
    warmup: int = 100
    """Steps of linear increase of the learning rate."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW [-]."""
    features: str = "vgg16-imagenet"
    """Feature maps of the style loss (`vaereg.training.features`)."""
    feature_layers: int = 5
    """Feature maps used, from the finest: 5 of VGG-16 end at relu3_1."""
    style_every: int = 4
    """Decodings from one evaluation of the style loss to the next."""
    divergence_weight: float = 0.3
    """Weight of KL(q(z | x, k) ‖ p(z | c, k)) [1/nat]."""
    regression_weight: float = 20.0
    """Weight of the deviation of the latent regressor, in squared standard deviations of log c."""
    fraction_scale: float = 0.01
    """Volume fraction: deviation that costs half a nat [-]."""
    geometry_scale: float = 0.15
    """Logarithm of a number of the geometry: deviation that costs half a nat [-]."""
    geometry_weight: float = 2.0
    """Weight of the deviation from the geometry of the recipe."""
    correlation_weight: float = 4.0
    """Weight of the two-point correlation, in units of 0.02²."""
    path_weight: float = 8.0
    """Weight of the lineal path of both phases, in units of 0.02²."""
    surface_weight: float = 8.0
    """Weight of the logarithmic face density along each axis, in units of 0.05²."""
    expectation_weight: float = 2.0
    """Weight of the statistics that the geometry leads one to expect (`vaereg.training.modes.surrogate`)."""
    surrogate_builds: int = 36_000
    """Volumes that are built before the training for what is to be expected of a geometry."""
    surrogate_steps: int = 40_000
    """Steps of the fit to them."""
    style_weight: float = 40.0
    """Weight of the squared relative Gram distance."""
    pixel_weight: float = 0.0
    """Weight of the mean squared difference from the volume itself, voxel by voxel."""
    gate: float = 0.7
    """Least share of decoded validation volumes that must be recognised at the gate [-]; 0 for no gate."""
    gate_minutes: float = 15.0
    """Processor time after which the gate is tried [min]; a shorter run tries it at its end."""
    seed: int = 0
    """Seed of initialisation, batches and realisations."""
    checkpoint_minutes: float = 3.0
    """Time between saved states."""

    def __post_init__(self) -> None:
        for name in ("latent", "steps", "decoded", "decode_every", "warmup", "style_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.batch_size < self.decoded:
            raise InputError(f"expected a batch of at least {self.decoded} volumes, got {self.batch_size}")
        if not 0.0 <= self.gate <= 1.0:
            raise InputError(f"gate must be between 0 and 1, got {self.gate}")
        if not self.learning_rate > 0.0:
            raise InputError(f"learning_rate must be positive, got {self.learning_rate}")

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `to_json`; settings that are left out keep their defaults.

        Raises:
            InputError: The text is no JSON object, or holds an unknown setting or one of another type.
        """
        return build_settings(cls, parse_settings(text))


MODES_PRESETS = {
    "modes": ModesConfig(seed=1),
    "modes-no-style": ModesConfig(seed=1, style_weight=0.0, gate=0.0),
    "modes-no-geometry": ModesConfig(seed=1, geometry_weight=0.0, gate=0.0),
    "modes-pixel": ModesConfig(seed=1, style_weight=0.0, pixel_weight=2000.0, gate=0.0),
    "modes-tiny": ModesConfig(
        latent=10,
        steps=30,
        encoder_steps=25,
        batch_size=16,
        drawn=1,
        irregular=20,
        decoded=2,
        decode_every=10,
        warmup=5,
        surrogate_builds=18,
        surrogate_steps=10,
        features="random-multiscale",
        feature_layers=2,
        gate=0.0,
    ),
}
"""Runs of the modes by name. `modes` trains those that are shipped, `modes-tiny` checks an installation in
seconds; the others take claims away one by one: no style loss, no geometry from recipes, voxels in place of
style."""
