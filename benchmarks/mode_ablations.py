"""What each claim of the modes is worth, on one constructive decoder: results/mode_ablations.json.

    python benchmarks/mode_ablations.py --data LABELS.h5 --out FOLDER [--checkpoint FILE --minutes 6]

Losses: the presets `modes`, `modes-no-style`, `modes-no-geometry` and `modes-pixel` are trained for the same
processor time each (resumable, in FOLDER), with a quarter of the constructions, of the drawn volumes and of
the steps of the encoder alone, and what they decode from unseen volumes is recognised by both classifiers and
compared with the volumes.

Priors: on the encodings by the shipped networks of the built modes, each with its mode, three priors are
fitted to the training split: the named one, p(z, k | c) = p(k | c) N(z; mean of k at c, covariance of k); one
Gaussian of z, k and c; and a free mixture of as many Gaussians as there are built modes, found by
expectation maximisation without names. In the last two k is the largest of the coordinates that code it. The
same decoder makes designs from all three, without the corrections and choices of `design`.

Free mixture of the joint model (as published, with its spectral decoder): whether its components are
morphologies that anyone could name, by the mutual information of component and recognised mode.

Irregular: raw designs of the irregular mode for the properties of unseen irregular volumes, beside those of
the free mixture, which has the same decoder and the same judge.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import RESULTS, write_record
from scipy.linalg import cho_factor, cho_solve
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

from vaereg.elasticity import AXIS_ORDERS, diagonal_properties
from vaereg.evaluation.modes.samples import ModeSamples, distance_figures, mode_samples
from vaereg.inverse.direct import design
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.io.labelled_sets import LabelledSet, read_labelled_set
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from vaereg.model.decoding import IRREGULAR, decode_fields, decoded_fraction
from vaereg.model.modes.config import MODES_PRESETS
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.networks import cut
from vaereg.model.recognition import INDEPENDENT_REFERENCE, MorphologyClassifier, load_classifier
from vaereg.model.vae import VaeReg
from vaereg.solver.homogenization import homogenize
from vaereg.targets import Target
from vaereg.training.modes.data import read_mode_data
from vaereg.training.modes.loop import train_modes

LOSSES = ("modes", "modes-no-style", "modes-no-geometry", "modes-pixel")
QUARTER = {"surrogate_builds": 9_000, "surrogate_steps": 10_000, "encoder_steps": 4_000, "drawn": 150}
"""Settings of what does not tell the presets apart, a quarter of those of the shipped networks."""
PARTS = ("losses", "priors", "mixture", "irregular")
PRIORS = ("named", "single Gaussian", "free mixture")
SIZE, POOL, COUNT, RTOL = 32, 256, 12, 1e-3
"""Voxels per edge, latent vectors drawn and designs kept per target, residual of the solver."""
NEAR = 0.05
"""Largest deviation up to which a design meets its target [-]."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled data set of morphologies")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--minutes", type=float, default=6.0, help="processor minutes of each run")
    parser.add_argument("--per-class", type=int, default=6, help="volumes of each class that are decoded")
    parser.add_argument("--targets", type=int, default=12, help="targets of each prior")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured; the record keeps the rest"
    )
    arguments = parser.parse_args()
    checkpoint, dataset = load_checkpoint(arguments.checkpoint), read_labelled_set(arguments.data)
    judges = {"own": load_classifier(), "independent": load_classifier(INDEPENDENT_REFERENCE)}
    rows = np.random.default_rng(0).permutation(dataset.indices("test", size=SIZE))
    figures: dict[str, Any] = {}
    if (record := RESULTS / "mode_ablations.json").exists():
        figures = json.loads(record.read_text(encoding="utf-8"))["figures"]
    figures["checkpoint"] = checkpoint.hash
    if "losses" in arguments.parts:
        figures["losses"] = loss_figures(checkpoint, dataset, rows, arguments, judges)
    if "priors" in arguments.parts:
        figures["priors"] = prior_figures(checkpoint, dataset, rows, arguments.targets, judges)
    if "mixture" in arguments.parts:
        figures["free mixture"] = free_mixture_figures(
            checkpoint, dataset, rows, arguments.targets, judges["own"]
        )
    if "irregular" in arguments.parts:
        figures["irregular"] = irregular_figures(checkpoint, dataset, rows, arguments.targets)
    settings: dict[str, object] = {
        "data": arguments.data.name,
        "data_count": len(dataset),
        "data_seed": dataset.plan.seed,
        "minutes": arguments.minutes,
        "per_class": arguments.per_class,
        "targets": arguments.targets,
        "count": COUNT,
    }
    print(write_record("mode_ablations", settings, figures))


def loss_figures(
    checkpoint: Checkpoint,
    dataset: LabelledSet,
    rows: NDArray[np.intp],
    arguments: argparse.Namespace,
    judges: dict[str, MorphologyClassifier],
) -> dict[str, Any]:
    """What the networks of each preset decode, trained for the same processor time."""
    figures = {}
    for preset in LOSSES:
        folder = arguments.out / preset
        result = train_modes(
            dataset,
            folder,
            replace(MODES_PRESETS[preset], **QUARTER),
            resume=(folder / "state.pt").exists(),
            max_minutes=arguments.minutes,
        )
        samples = mode_samples(checkpoint.model, result.networks, dataset, rows, arguments.per_class)
        built = np.isin(samples.mode, BUILT)
        figures[preset] = {
            "steps": result.steps,
            "cpu_minutes": round(result.seconds / 60.0, 1),
            "volumes": int(built.sum()),
            **{
                name: recognised(judge, samples.decoded[built], samples.mode[built])[0]
                for name, judge in judges.items()
            },
            "distances": distances(checkpoint.model, result.networks, dataset, samples),
        }
        print(preset, figures[preset], flush=True)
    return figures


def recognised(
    judge: MorphologyClassifier, volumes: NDArray[np.uint8], modes: NDArray[np.int64]
) -> tuple[float, NDArray[np.int64]]:
    """Share of volumes that are recognised as of their mode [-], and the mode that each is taken for."""
    taken = judge.mode_proba(judge.predict_proba(list(volumes))).argmax(1)
    return float((taken == modes).mean()), taken


def distances(
    model: VaeReg, networks: ModeNetworks, dataset: LabelledSet, samples: ModeSamples
) -> dict[str, float]:
    """Medians over the built classes of the ratio of the distances decoded-real and real-real."""
    names = set(dataset.samples.morphology[samples.rows[np.isin(samples.mode, BUILT)]])
    ratios: dict[str, list[float]] = {}
    for name, item in distance_figures(model, networks, dataset, samples).items():
        for statistic, value in item["ratio"].items():
            if name in names and value is not None:
                ratios.setdefault(statistic, []).append(value)
    return {statistic: float(np.median(values)) for statistic, values in ratios.items()}


class JointGaussians:
    """p(z, k | c) of a mixture of Gaussians of c, z and the one-hot code of k together.

    Args:
        c: Standardised properties, shape (N, T).
        code: Latent vectors and codes of the modes, shape (N, D + K).
        components: Number of Gaussians.
    """

    def __init__(self, c: NDArray[np.float64], code: NDArray[np.float64], components: int) -> None:
        mixture = GaussianMixture(components, reg_covar=1e-4, n_init=2, random_state=0)
        mixture.fit(np.concatenate([c, code], 1))
        self.weights = np.asarray(mixture.weights_)
        self.means, self.covariances = np.asarray(mixture.means_), np.asarray(mixture.covariances_)
        self.known = c.shape[1]

    def sample(
        self, c: NDArray[np.float64], count: int, generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """Samples of the code at properties c, shape (T,); shape (count, D + K)."""
        known, means, logs, drawn = self.known, [], [], []
        for weight, mean, covariance in zip(self.weights, self.means, self.covariances, strict=True):
            factor = cho_factor(covariance[:known, :known], lower=True)
            offset = c - mean[:known]
            gain = cho_solve(factor, covariance[:known, known:]).T
            means.append(mean[known:] + gain @ offset)
            drawn.append(covariance[known:, known:] - gain @ covariance[:known, known:])
            logs.append(
                np.log(weight) - 0.5 * offset @ cho_solve(factor, offset) - np.log(np.diag(factor[0])).sum()
            )
        share = np.exp(np.array(logs) - np.max(logs))
        picked = generator.choice(len(share), count, p=share / share.sum())
        return np.stack([generator.multivariate_normal(means[k], drawn[k], method="eigh") for k in picked])


def prior_figures(
    checkpoint: Checkpoint,
    dataset: LabelledSet,
    rows: NDArray[np.intp],
    count: int,
    judges: dict[str, MorphologyClassifier],
) -> dict[str, Any]:
    """Designs for the six moduli of unseen volumes of the built modes, from the three priors."""
    modes = checkpoint.modes
    if modes is None:
        raise SystemExit(f"expected a checkpoint with modes, got {checkpoint.hash} without")
    networks = modes.networks
    train = read_mode_data(dataset, dataset.indices("train"))
    own = torch.from_numpy(np.flatnonzero(np.isin(train.mode.numpy(), BUILT)))
    codes, known = [], []
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for order in range(len(AXIS_ORDERS)):
            statistics, _, _, properties = train.permuted(own, torch.full_like(own, order))
            z = networks.encoder(statistics, train.mode[own]).sample(generator=generator)
            code = np.eye(len(BUILT))[np.searchsorted(BUILT, train.mode[own].numpy())]
            codes.append(np.concatenate([z.numpy(), code], 1))
            known.append(networks.standardise(properties).numpy())
    c, code = np.concatenate(known).astype(np.float64), np.concatenate(codes)
    fitted = {
        "single Gaussian": JointGaussians(c, code, 1),
        "free mixture": JointGaussians(c, code, len(BUILT)),
    }
    test = read_mode_data(dataset, rows)
    chosen = np.flatnonzero(np.isin(test.mode.numpy(), BUILT))[:count]
    figures = {}
    for name in PRIORS:
        begin, off, best, named, agreed = time.process_time(), [], [], [], []
        shares: dict[str, list[float]] = {judge: [] for judge in judges}
        for place in chosen.tolist():
            numbers = np.random.default_rng(place)
            wanted = test.properties[place].double().numpy()
            target = networks.standardise(test.properties[place][None])
            if name == "named":
                z, mode = _named(networks, target, place)
            else:
                drawn = fitted[name].sample(target[0].double().numpy(), POOL, numbers)
                z = torch.from_numpy(drawn[:, : networks.latent]).float()
                mode = np.array(BUILT)[drawn[:, networks.latent :].argmax(1)]
            z, mode = _promising(networks, z, mode, wanted)
            with torch.inference_mode():
                field = decode_fields(
                    checkpoint, z, mode, SIZE, seeds=numbers.integers(2**62, size=len(mode))
                )
                volumes = cut(field, decoded_fraction(checkpoint, z, mode)).squeeze(1).byte().numpy()
            solved = [homogenize(volume, rtol=RTOL, dtype=np.float32).stiffness for volume in volumes]
            deviation = np.abs(diagonal_properties(np.array(solved)) / wanted - 1.0).max(1)
            off.append(deviation)
            best.append(deviation.min())
            for judge, classifier in judges.items():
                share, taken = recognised(classifier, volumes, mode)
                shares[judge].append(share)
                if judge == "own":
                    named.append(len(np.unique(taken[deviation <= NEAR])))
                    agreed.append(len(np.unique(taken)))
        figures[name] = {
            "targets": len(chosen),
            "largest_all": float(np.median(np.concatenate(off))),
            "largest_best": float(np.median(best)),
            "modes_recognised": float(np.mean(agreed)),
            "modes_near": float(np.mean(named)),
            **{judge: float(np.mean(values)) for judge, values in shares.items()},
            "cpu_s": round(time.process_time() - begin, 1),
        }
        print(name, figures[name], flush=True)
    return figures


def _named(networks: ModeNetworks, target: torch.Tensor, seed: int) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """Samples of the shipped prior, among built modes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        prior = networks.prior(target.expand(POOL, -1))
        weights = torch.zeros_like(prior.weights[0])
        weights[list(BUILT)] = prior.weights[0, list(BUILT)]
        mode = torch.multinomial(weights, POOL, replacement=True, generator=generator)
        z, _ = prior.sample(generator=generator, component=mode)
    return z, mode.numpy()


def _promising(
    networks: ModeNetworks, z: torch.Tensor, mode: NDArray[np.int64], wanted: NDArray[np.float64]
) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """Samples whose properties, by the latent regressor, are nearest to the wanted ones."""
    with torch.inference_mode():
        expected = networks.unstandardise(networks.regressor(z, torch.from_numpy(mode))).numpy()
    nearest = np.argsort(np.abs(expected / wanted - 1.0).max(1), kind="stable")[:COUNT]
    return z[torch.from_numpy(nearest)], mode[nearest]


def free_mixture_figures(
    checkpoint: Checkpoint,
    dataset: LabelledSet,
    rows: NDArray[np.intp],
    count: int,
    judge: MorphologyClassifier,
) -> dict[str, Any]:
    """Designs of the free mixture of the joint model and of the modes, for the same targets."""
    stiffness = diagonal_properties(dataset.samples.stiffness[rows, 0].astype(np.float64))
    figures = {}
    for name, model in (("free mixture", replace(checkpoint, modes=None)), ("modes", checkpoint)):
        component, taken, several, skipped = [], [], [], 0
        for place in range(len(rows)):
            if len(several) == count:
                break
            target: dict[str, Target] = {f"C{i}{i}": float(stiffness[place, i - 1]) for i in (1, 2, 3)}
            try:
                designs = design(model, target, COUNT, SIZE, seed=place)
            except UnreachableTargetError:
                skipped += 1
                continue
            found = recognised(judge, designs.microstructures, designs.component)[1]
            component.append(designs.component)
            taken.append(found)
            several.append(len(np.unique(found)))
        figures[name] = {
            "targets": len(several),
            "unreachable": skipped,
            "modes_recognised": float(np.mean(several)),
            "mutual_information": float(
                normalized_mutual_info_score(np.concatenate(component), np.concatenate(taken))
            ),
        }
        print(name, figures[name], flush=True)
    return figures


def irregular_figures(
    checkpoint: Checkpoint, dataset: LabelledSet, rows: NDArray[np.intp], count: int
) -> dict[str, Any]:
    """Raw designs for irregular volumes by the irregular mode, and by the free mixture that it was before."""
    own = rows[np.isin(dataset.samples.morphology[rows], ["gaussian", "spinodal"])][:count]
    stiffness = diagonal_properties(dataset.samples.stiffness[own, 0].astype(np.float64))
    figures = {}
    for name, model, component in (
        ("irregular mode", checkpoint, IRREGULAR),
        ("free mixture", replace(checkpoint, modes=None), None),
    ):
        off, best = [], []
        for place, values in enumerate(stiffness):
            target: dict[str, Target] = {f"C{i}{i}": float(values[i - 1]) for i in (1, 2, 3)}
            try:
                designs = design(
                    model, target, COUNT, SIZE, seed=place, component=component, only_plausible=False
                )
            except UnreachableTargetError:
                continue
            solved = [
                homogenize(volume, rtol=RTOL, dtype=np.float32).stiffness
                for volume in designs.microstructures
            ]
            deviation = np.abs(diagonal_properties(np.array(solved))[:, :3] / values[:3] - 1.0)
            off.append(deviation)
            best.append(deviation[int(np.argmin(designs.largest_deviation))])
        figures[name] = {
            "targets": len(off),
            "mean_all": float(np.median(np.concatenate(off).mean(1))),
            "mean_best": float(np.median(np.array(best).mean(1))),
            "largest_all": float(np.median(np.concatenate(off).max(1))),
            "largest_best": float(np.median(np.array(best).max(1))),
        }
        print(name, figures[name], flush=True)
    return figures


if __name__ == "__main__":
    main()
