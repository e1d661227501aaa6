"""Terms of the joint loss.

Every generative term compares statistics of two volumes that are decoded from one z with independent noise. A
squared error of one realisation would reward a decoder for less scatter than the data has; the product of
the two residuals, (S(x1) - S(x)) (S(x2) - S(x)), has the squared bias alone as its expectation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaereg.microstructure.correlation import autocorrelation, axis_correlation, face_densities
from vaereg.model.config import RunConfig
from vaereg.model.networks import mixed_precision
from vaereg.model.prior import ConditionalMixture
from vaereg.model.vae import Encoding, VaeReg
from vaereg.training.clusters import MorphologyClusters
from vaereg.training.features import FeatureMaps, gram_matrices, random_slices, style_distance

__all__ = [
    "TERMS",
    "heavy_tailed",
    "lag_weights",
    "loss_terms",
    "near_correlation",
    "regression_terms",
    "style_term",
    "term_weights",
]

_TEMPERATURE = 0.3
"""Width of the straight-through slope of the decoder's cut, in standard deviations of the field."""

_LARGEST_LAG = 8
"""Largest lag, per axis and direction, that the two-point term compares [voxel]."""

_FAR, _FAR_SURFACE = 0.3, 0.1
"""Deviation of a logarithmic property, and of a logarithmic face density, from which it counts less than
its square [nats]."""

_SMOOTHEST = 1e-3
"""Least face density whose logarithm is taken [faces/voxel]."""

TERMS = (
    "regression",
    "spread",
    "divergence",
    "fraction",
    "correlation",
    "surface",
    "consistency",
    "inverse",
    "morphology",
    "style",
    "pixel",
    "components_used",
    "latent_used",
)
"""Names of all terms; the last two are only logged."""


def term_weights(config: RunConfig, step: int) -> dict[str, float]:
    """Factor of each term; 0 for those that are only logged.

    Args:
        config: The run.
        step: Steps of joint training so far.
    """
    settings = config.training
    generative = settings.generative_weight
    # a divergence in full from the first step would empty the latent vector
    early = min(1.0, (step + 1) / (2.0 * settings.warmup))
    # the regressor must be worth something before designs are led by it
    late = generative * min(1.0, max(0.0, step / (2.0 * settings.warmup) - 1.0))
    return {
        "regression": settings.regression_weight,
        "spread": 0.1,
        "divergence": generative * settings.divergence_weight * early,
        "fraction": generative,
        "correlation": generative * settings.statistics_weight,
        "surface": generative * settings.surface_weight,
        "consistency": late * settings.consistency_weight,
        "inverse": late * settings.consistency_weight,
        "morphology": late * settings.morphology_weight,
        "style": generative * settings.style_weight * settings.style_every,
        "pixel": generative * settings.pixel_weight,
        "components_used": 0.0,
        "latent_used": 0.0,
    }


def loss_terms(
    model: VaeReg,
    features: FeatureMaps,
    volumes: Tensor,
    properties: Tensor,
    config: RunConfig,
    clusters: MorphologyClusters,
    *,
    step: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Terms of the joint loss, unweighted.

    Args:
        model: The networks.
        features: Feature maps of the style loss.
        volumes: Shape (B, 1, N, N, N).
        properties: Shape (B, T) [GPa].
        config: The run.
        clusters: Which component explains which volume.
        step: Steps of joint training so far.
        generator: Source of randomness.
    """
    settings = config.training
    encoding = model.encode(volumes)
    terms = regression_terms(encoding, properties)

    z = encoding.sample(generator=generator)
    prior, assignment = model.prior(properties), None
    if settings.assigned:
        correlation = axis_correlation(autocorrelation(volumes))
        assignment = clusters.assign(correlation, model.standardise(properties))
    terms |= _prior_terms(encoding.log_prob(z), prior, z, assignment)
    terms["latent_used"] = (
        (encoding.latent_mean.var(0) > 0.1 * encoding.latent_std.square().mean(0)).sum().float()
    )

    fraction = volumes.mean((1, 2, 3, 4))
    deviation = (model.decoder.volume_fraction(z) - fraction) / settings.fraction_scale
    terms["fraction"] = 0.5 * deviation.square().mean()

    count = settings.decoded
    first, second = _decode_twice(model, z[:count], volumes.shape[-1], generator)
    reference = near_correlation(volumes[:count])
    bias = (near_correlation(first) - reference) * (near_correlation(second) - reference)
    terms["correlation"] = (bias * lag_weights(reference)).sum(
        (1, 2, 3)
    ).mean() / settings.correlation_scale**2
    surface = _log_surface(volumes[:count])
    bias = (_log_surface(first) - surface) * (_log_surface(second) - surface)
    terms["surface"] = 0.5 * heavy_tailed(bias, _FAR_SURFACE).mean() / settings.surface_scale**2
    if settings.pixel_weight:
        terms["pixel"] = (first - volumes[:count]).square().mean()

    target = properties[:count].log()
    if step >= 2 * settings.warmup:
        # even steps: what q(z | x) decodes to has the properties of x; odd ones: what p(z | c) decodes to
        # has those of c
        if step % 2 == 0:
            terms["consistency"] = _property_bias(model, first, second, target, settings.consistency_scale)
        else:
            latent, component = model.prior(properties[:count]).sample(generator=generator)
            pair = _decode_twice(model, latent, volumes.shape[-1], generator)
            terms["inverse"] = _property_bias(model, *pair, target, settings.consistency_scale)
            if settings.assigned:
                # and the morphology of its component: what two-point correlation tells of it
                standardised = model.standardise(properties[:count]).repeat(2, 1)
                correlation = axis_correlation(autocorrelation(torch.cat(pair)))
                likely = clusters.log_probabilities(correlation, standardised)
                terms["morphology"] = nn.functional.nll_loss(likely, component.repeat(2))
    if settings.style_weight and step % settings.style_every == 0:
        terms["style"] = style_term(features, first, second, volumes, settings.style_volumes, generator)
    return terms


def regression_terms(encoding: Encoding, properties: Tensor) -> dict[str, Tensor]:
    """Terms that train the regressor: the error of log c, and the likelihood that sets its spread."""
    error = encoding.property_mean.log() - properties.log()
    spread = encoding.property_spread
    # the spread learns from the error without pulling at the mean: heteroscedastic likelihoods starve hard
    # samples
    likelihood = 0.5 * (error.detach() / spread).square() + spread.log()
    return {"regression": error.abs().mean(), "spread": likelihood.mean()}


def _prior_terms(
    log_posterior: Tensor, prior: ConditionalMixture, z: Tensor, assignment: Tensor | None
) -> dict[str, Tensor]:
    """Divergence of q(z | x) from the mixture p(z | c).

    A mixture has no closed-form divergence. The bound

        log p(z | c) >= sum over k of r_k (log w_k + log p_k(z | c) - log r_k)

    holds for every r, and with the mixture's own responsibilities it is an equality; these make all
    components alike or leave most of them unused. With an assignment, r is the morphology's
    (`vaereg.training.clusters`), so that each component keeps a family of its own.
    """
    joint = prior.component_log_prob(z)
    if assignment is None:
        bound = joint.logsumexp(-1)
    else:
        bound = (assignment * (joint - assignment.log())).sum(-1)
    with torch.no_grad():
        mean = joint.softmax(-1).mean(0)
        component_count = (-(mean * mean.clamp_min(1e-9).log()).sum()).exp()
    return {"divergence": (log_posterior - bound).mean(), "components_used": component_count}


def _decode_twice(model: VaeReg, z: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    noise = model.noise(2 * len(z), size, generator=generator)
    first, second = model.decode(z.repeat(2, 1), noise, _TEMPERATURE).chunk(2)
    return first, second


def near_correlation(volumes: Tensor) -> Tensor:
    """Two-point correlation at lags up to `_LARGEST_LAG`, centred, shape (B, L, L, L // 2 + 1)."""
    largest = min(_LARGEST_LAG, volumes.shape[-1] // 2 - 1)
    shifted = autocorrelation(volumes).roll((largest, largest), (1, 2))
    width = 2 * largest + 1
    return shifted[:, :width, :width, : largest + 1]


def lag_weights(correlation: Tensor) -> Tensor:
    """Weights of the lags of `near_correlation`: short ones weigh more; they sum to one."""
    largest = correlation.shape[-1] - 1
    lags = torch.arange(-largest, largest + 1, device=correlation.device).float()
    squared = lags[:, None, None].square() + lags[:, None].square() + lags[largest:].square()
    weights = 1.0 / (1.0 + squared)
    weights[largest, largest, 0] = 0.0  # the correlation at lag zero is one
    weights[..., 1:] *= 2.0  # lags of both signs; in the plane z = 0 both are there already
    return weights / weights.sum()


def _log_surface(volumes: Tensor) -> Tensor:
    """Logarithm of the face density [faces/voxel], shape (B,); it weighs smooth and rough volumes alike."""
    return face_densities(volumes).sum(1).clamp_min(_SMOOTHEST).log()


def _property_bias(model: VaeReg, first: Tensor, second: Tensor, target: Tensor, scale: float) -> Tensor:
    """Deviation of decoded volumes from log c [nats] by the regressor, whose weights stay untouched."""
    parameters = [*model.encoder.parameters(), *model.property_head.parameters()]
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        mean = model.encode(torch.cat([first, second])).property_mean.log()
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
    first_bias, second_bias = (half - target for half in mean.chunk(2))
    return 0.5 * heavy_tailed(first_bias * second_bias, _FAR).sum(-1).mean() / scale**2


def heavy_tailed(squared: Tensor, far: float) -> Tensor:
    """Squared deviations with the weights of a heavy-tailed likelihood: a few rare volumes are far off, and
    would lead all others.
    """
    return squared / (1.0 + squared.detach().abs() / far**2)


def style_term(
    features: FeatureMaps,
    first: Tensor,
    second: Tensor,
    volumes: Tensor,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """Squared relative Gram distance of two realisations from the first `count` volumes, mean over them."""

    def grams_of(batch: Tensor, slices: int, group: int = 1) -> list[Tensor]:
        images = random_slices(batch[:count], slices, generator=generator)
        with mixed_precision(images):
            maps = features(images)
        return gram_matrices([layer.float() for layer in maps], group=group)

    grams = [grams_of(batch, 3) for batch in (first, second)]
    with torch.no_grad():
        reference = grams_of(volumes, 6, group=2)
    return style_distance(grams[0], grams[1], reference).mean()
