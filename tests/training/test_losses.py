"""The joint loss: every parameter learns, and no term rewards a decoder for less scatter than data has."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vaereg.io.datasets import Dataset
from vaereg.microstructure import statistics
from vaereg.microstructure.correlation import autocorrelation, axis_correlation
from vaereg.model.config import PRESETS, RunConfig
from vaereg.model.prior import ConditionalMixture
from vaereg.model.vae import Encoding, VaeReg
from vaereg.training import losses
from vaereg.training.clusters import MorphologyClusters
from vaereg.training.features import FeatureMaps, load_features
from vaereg.training.losses import TERMS, loss_terms, regression_terms, term_weights

CONFIG = PRESETS["tiny"]
LATE = 4 * CONFIG.training.warmup
"""An even step, at which all terms have their full weight."""
Batch = tuple[Tensor, Tensor]


@pytest.fixture(scope="session")
def features() -> FeatureMaps:
    return load_features("random-multiscale", layers=2)


@pytest.fixture
def batch(tiny_dataset: Dataset) -> Batch:
    rows = tiny_dataset.indices("train")[:8]
    stiffness = tiny_dataset.samples.stiffness[rows]
    properties = torch.from_numpy(np.diagonal(stiffness, axis1=1, axis2=2).copy())
    return torch.from_numpy(tiny_dataset.volumes(rows)).float()[:, None], properties


@pytest.fixture
def model(batch: Batch) -> VaeReg:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = VaeReg(CONFIG.model)
        for name, parameter in model.named_parameters():
            if "second" in name:  # begin at zero, where the convolutions before them get no gradient
                torch.nn.init.normal_(parameter, std=0.1)
    model.set_scaling(batch[1])
    return model


def clusters_of(model: VaeReg, batch: Batch) -> MorphologyClusters:
    correlation = axis_correlation(autocorrelation(batch[0]))
    return MorphologyClusters(correlation, model.standardise(batch[1]), CONFIG.model.components)


def terms_of(
    model: VaeReg, features: FeatureMaps, batch: Batch, step: int = LATE, config: RunConfig = CONFIG
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return loss_terms(
        model, features, *batch, config, clusters_of(model, batch), step=step, generator=generator
    )


def total(terms: dict[str, Tensor], step: int = LATE) -> Tensor:
    weights = term_weights(CONFIG, step)
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


def gradients(model: VaeReg, loss: Tensor) -> dict[str, float]:
    """Largest entry of each parameter's gradient; those without one are left out."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    named = model.named_parameters()
    return {name: float(p.grad.abs().max()) for name, p in named if p.grad is not None}


@pytest.mark.parametrize("step", [0, LATE, LATE + 1])
def test_the_loss_reaches_every_parameter(
    step: int, model: VaeReg, features: FeatureMaps, batch: Batch
) -> None:
    """All but the bias of the decoder's `mix_out`: it moves the mean of a field, which is taken out again."""
    sizes = gradients(model, total(terms_of(model, features, batch, step), step))
    idle = {name for name, _ in model.named_parameters() if sizes.get(name, 0.0) < 1e-9}
    assert idle <= {"decoder.mix_out.bias"}


def test_terms_are_finite_and_come_in_turn(model: VaeReg, features: FeatureMaps, batch: Batch) -> None:
    """Style every few steps; consistency of designs once the regressor has had a start, in two halves."""
    style, warmup = CONFIG.training.style_every, CONFIG.training.warmup
    always = set(TERMS) - {"style", "pixel", "consistency", "inverse", "morphology"}
    expected = {
        0: always | {"style"},
        1: always,
        2 * warmup + 1: always | {"inverse", "morphology"},
        LATE: always | {"consistency", "style"},
    }
    assert LATE % style == 0 and (2 * warmup + 1) % style != 0
    for step, names in expected.items():
        terms = terms_of(model, features, batch, step)
        assert set(terms) == names
        assert all(torch.isfinite(value) and value.ndim == 0 for value in terms.values())


def test_weights_set_in_by_and_by() -> None:
    warmup = CONFIG.training.warmup
    start, middle, late = (term_weights(CONFIG, step) for step in (0, 3 * warmup, 100 * warmup))
    assert set(start) == set(TERMS)
    assert start["consistency"] == start["inverse"] == 0.0
    assert math.isclose(middle["consistency"], 0.5 * late["consistency"])
    assert 0.0 < start["divergence"] < late["divergence"]
    assert late["style"] / CONFIG.training.style_every == pytest.approx(
        CONFIG.training.generative_weight * CONFIG.training.style_weight
    )
    for weights in (start, late):
        assert weights["components_used"] == weights["latent_used"] == 0.0


def test_the_same_generator_gives_the_same_loss(model: VaeReg, features: FeatureMaps, batch: Batch) -> None:
    before = torch.get_rng_state()
    first, second = (terms_of(model, features, batch) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)


def encoding(error: Tensor, spread: Tensor) -> Encoding:
    """Predictions of a property of 1 GPa that are off by `error` in the logarithm."""
    empty = torch.empty(len(error), 0)
    return Encoding(
        statistics=empty,
        latent_mean=empty,
        latent_std=empty,
        property_mean=error.exp(),
        property_spread=spread,
    )


def test_the_spread_learns_the_size_of_the_error() -> None:
    """Its likelihood is best where it equals the error, and does not pull at the prediction."""
    error = torch.tensor([[0.1, -0.4]], requires_grad=True)
    spread = torch.tensor([[0.1, 0.4]], requires_grad=True)
    terms = regression_terms(encoding(error, spread), torch.ones(1, 2))
    assert terms["regression"].item() == pytest.approx(0.25)
    on_spread, on_error = torch.autograd.grad(terms["spread"], (spread, error), allow_unused=True)
    torch.testing.assert_close(on_spread, torch.zeros(1, 2), rtol=0.0, atol=1e-5)
    assert on_error is None
    for factor in (0.5, 2.0):
        worse = regression_terms(encoding(error, factor * spread), torch.ones(1, 2))["spread"]
        assert worse > terms["spread"]


def mixture(weights: Tensor, latent: int = 3) -> ConditionalMixture:
    generator = torch.Generator().manual_seed(8)
    rows, components = weights.shape
    scale = 0.3 * torch.randn(rows, components, latent, latent, generator=generator).tril(-1) + torch.eye(
        latent
    )
    return ConditionalMixture(
        weights.log(), torch.randn(rows, components, latent, generator=generator), scale
    )


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 6.0])
def test_the_divergence_is_an_upper_bound(sharpness: float, generator: torch.Generator) -> None:
    """The divergence is log q - log p for any assignment; with one component there is nothing to assign."""
    z, posterior = torch.randn(16, 3, generator=generator), torch.randn(16, generator=generator)
    for weights, slack in ((torch.rand(16, 4, generator=generator) + 0.1, 1.0), (torch.ones(16, 1), 0.0)):
        prior = mixture(weights / weights.sum(1, keepdim=True))
        assignment = (sharpness * torch.randn(weights.shape, generator=generator)).softmax(1)
        exact = (posterior - prior.log_prob(z)).mean()
        bound = losses._prior_terms(posterior, prior, z, assignment)["divergence"]
        assert bound - exact >= -1e-5
        assert bound > exact if slack else bound.item() == pytest.approx(exact.item(), abs=1e-5)


def test_the_divergence_vanishes_where_both_distributions_agree(generator: torch.Generator) -> None:
    prior = mixture(torch.ones(4000, 1))
    z, _ = prior.sample(generator=generator)
    result = losses._prior_terms(prior.log_prob(z), prior, z, torch.ones(4000, 1))["divergence"]
    assert abs(float(result)) < 1e-5


def test_the_bound_is_tight_at_the_responsibilities(generator: torch.Generator) -> None:
    z, posterior = torch.randn(16, 3, generator=generator), torch.randn(16, generator=generator)
    prior = mixture(torch.full((16, 4), 0.25))
    result = losses._prior_terms(posterior, prior, z, prior.responsibilities(z))["divergence"]
    torch.testing.assert_close(result, (posterior - prior.log_prob(z)).mean())


def test_components_used_counts_components() -> None:
    """Points at the means of two of four distant components use two."""
    mean = 20.0 * torch.eye(4)
    prior = ConditionalMixture(
        torch.full((6, 4), 0.25).log(), mean.expand(6, 4, 4), torch.eye(4).expand(6, 4, 4, 4)
    )
    z = mean[[0, 1, 0, 1, 0, 1]]
    terms = losses._prior_terms(torch.zeros(6), prior, z, torch.full((6, 4), 0.25))
    assert float(terms["components_used"]) == pytest.approx(2.0)


@pytest.mark.parametrize("size", [8, 20])
def test_near_correlation_is_that_of_the_microstructure(size: int, generator: torch.Generator) -> None:
    volume = (torch.rand(1, 1, size, size, size, generator=generator) < 0.3).float()
    actual = losses.near_correlation(volume)[0]
    reach = min(8, size // 2 - 1)
    assert actual.shape == (2 * reach + 1, 2 * reach + 1, reach + 1)
    f = float(volume.mean())
    s2 = statistics.two_point_correlation(volume[0, 0].numpy())
    for lag in ((0, 0, 0), (1, 0, 0), (-reach, 2, 1), (reach, -1, reach)):
        expected = (s2[lag] - f**2) / (f * (1 - f))
        assert float(actual[reach + lag[0], reach + lag[1], lag[2]]) == pytest.approx(expected, abs=1e-5)


def test_lag_weights_do_not_favour_an_axis() -> None:
    weights = losses.lag_weights(torch.zeros(1, 7, 7, 4))
    assert float(weights.sum()) == pytest.approx(1.0)
    assert weights[3, 3, 0] == 0.0
    assert torch.equal(weights, weights.flip(0))
    assert torch.equal(weights, weights.transpose(0, 1))
    assert weights[4, 3, 0] == weights[3, 4, 0] > weights[4, 4, 0] > weights[6, 3, 0]
    # of lags along z one sign is there, of those along x and y both
    assert weights[4, 3, 0] + weights[2, 3, 0] == weights[3, 3, 1]


def test_one_exact_realisation_makes_the_bias_terms_zero(
    model: VaeReg, features: FeatureMaps, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product of two residuals, not a square: the other realisation may be anything."""
    x = batch[0][: CONFIG.training.decoded]
    properties = batch[1].clone()
    with torch.no_grad():
        properties[: len(x)] = model.encode(x).property_mean
    for pair in ((x, 1.0 - x.roll(3, 2)), (1.0 - x.roll(3, 2), x)):
        monkeypatch.setattr(losses, "_decode_twice", lambda *_, pair=pair: pair)
        one_exact = terms_of(model, features, (batch[0], properties))
        assert float(one_exact["correlation"]) == pytest.approx(0.0, abs=1e-3)
        assert float(one_exact["consistency"]) == pytest.approx(0.0, abs=1e-3)
    monkeypatch.setattr(losses, "_decode_twice", lambda *_: (x.roll(1, 0), x.roll(1, 0)))
    both_wrong = terms_of(model, features, (batch[0], properties))
    assert both_wrong["correlation"] > 10.0
    assert both_wrong["consistency"] > 1.0


def test_products_of_residuals_measure_the_bias_alone(model: VaeReg) -> None:
    """Over many decodings, (S(a) - S)(S(b) - S) has the mean (E S(a) - S)^2; a square adds a variance."""
    count, size = 600, 8
    generator = torch.Generator().manual_seed(9)
    z = torch.randn(1, CONFIG.model.latent, generator=generator).expand(count, -1)
    with torch.no_grad():
        pairs = [losses._decode_twice(model, z[:n], size, generator) for n in (count, 100)]
        (a, b), present = (
            [losses.near_correlation(x)[:, 3, 3:6, 1:3].flatten(1) for x in pair] for pair in pairs
        )
    spread = torch.cat([a, b]).std(0)
    for bias in (0.0, 0.5):
        reference = torch.cat(present).mean(0) + bias * spread
        products = (a - reference) * (b - reference)
        error = products.std(0) / count**0.5 + spread.square() / 100
        assert ((products.mean(0) - (bias * spread).square()).abs() < 5.0 * error).all()
        squares = (a - reference).square()
        assert (squares.mean(0) - (bias * spread).square() > 10.0 * error).all()


def test_consistency_of_the_properties_is_a_squared_bias(model: VaeReg, batch: Batch) -> None:
    """Two realisations that are both off by the scale in one property cost half a nat; far ones less."""
    x = batch[0][:2]
    with torch.no_grad():
        target = model.encode(x).property_mean.log()
        for off, expected in ((0.01, 0.5), (losses._FAR, 0.25)):
            moved = target.clone()
            moved[:, 1] += off
            assert float(losses._property_bias(model, x, x, moved, off)) == pytest.approx(expected, rel=2e-3)


def test_designs_do_not_teach_the_regressor(
    model: VaeReg, features: FeatureMaps, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regressor leads the decoder and the prior, and is not bent to agree with them."""
    frozen = ("encoder.", "property_head.", "latent_head.")
    sizes = gradients(model, terms_of(model, features, batch, LATE + 1)["inverse"])
    assert not [name for name, size in sizes.items() if name.startswith(frozen) and size > 0.0]
    for part in ("prior_network.mean.", "prior_network.scale.", "decoder.mix_in."):
        assert any(name.startswith(part) and size > 0.0 for name, size in sizes.items())
    sizes = gradients(model, terms_of(model, features, batch)["consistency"])
    assert not [name for name, size in sizes.items() if name.startswith("property_head.") and size > 0.0]
    assert all(parameter.requires_grad for parameter in model.parameters())

    def fail(_: Tensor) -> Encoding:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "encode", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        losses._property_bias(model, batch[0], batch[0], batch[1].log(), 0.1)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_one_batch_is_overfitted(model: VaeReg, features: FeatureMaps, batch: Batch) -> None:
    """Regression and volume fraction fall in some tens of steps of the joint loss."""
    config = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, style_every=1000))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(10)
    clusters, history = clusters_of(model, batch), []
    for step in range(1, 61):
        terms = loss_terms(model, features, *batch, config, clusters, step=step, generator=generator)
        optimiser.zero_grad()
        total(terms, step).backward()
        optimiser.step()
        history.append({name: value.item() for name, value in terms.items()})
    first, last = history[0], history[-1]
    assert last["regression"] < 0.5 * first["regression"]
    assert last["fraction"] < 0.5 * first["fraction"]


def test_the_surface_is_that_of_the_voxels() -> None:
    """Faces between the phases per voxel, as `vaereg.microstructure.volume` counts them."""
    volumes = (torch.rand(3, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    expected = [math.log(statistics.face_density(volume[0].numpy())) for volume in volumes]
    torch.testing.assert_close(losses._log_surface(volumes), torch.tensor(expected))


def test_a_free_mixture_pays_its_exact_divergence() -> None:
    prior = ConditionalMixture(
        torch.tensor([[0.3, 0.7]]).log(), torch.zeros(1, 2, 2), torch.eye(2).repeat(1, 2, 1, 1)
    )
    z = torch.ones(1, 2)
    result = losses._prior_terms(torch.zeros(1), prior, z, None)["divergence"]
    torch.testing.assert_close(result, -prior.log_prob(z).squeeze())


@pytest.mark.parametrize("name", ["single-gaussian", "no-style", "paper", "pixel"])
def test_presets_take_terms_away(name: str, model: VaeReg, features: FeatureMaps, batch: Batch) -> None:
    training = PRESETS[name].training
    changed = dataclasses.replace(
        CONFIG.training,
        **{
            key: getattr(training, key)
            for key in ("assigned", "style_weight", "pixel_weight", "consistency_weight")
        },
    )
    config = dataclasses.replace(CONFIG, training=changed)
    terms = terms_of(model, features, batch, LATE, config)
    assert ("style" in terms) == (name not in ("no-style", "pixel"))
    assert ("pixel" in terms) == (name == "pixel")
    weights = term_weights(config, LATE)
    assert (weights["consistency"] == 0.0) == (name in ("paper", "pixel"))
