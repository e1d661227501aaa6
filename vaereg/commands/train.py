"""The command `train`."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from vaereg.arguments import device_of, load_model
from vaereg.commands.reporting import progress
from vaereg.console import tell
from vaereg.errors import InputError

__all__ = ["run_train"]

_UNSURE = 0.5
"""Share of the votes of the classifier below which a volume is not clearly of its mode [-]."""


def run_train(arguments: argparse.Namespace) -> None:
    """Train a model, or go on with a run."""
    from vaereg.training.folder import check_folder

    check_folder(arguments.out, resume=arguments.resume)
    from vaereg.model.checkpoint import save_checkpoint
    from vaereg.model.config import RunConfig, preset
    from vaereg.model.modes.config import MODES_PRESETS
    from vaereg.training.card import training_card
    from vaereg.training.fitting import embed, fit
    from vaereg.training.loop import train
    from vaereg.training.replicas import join_replicas
    from vaereg.training.training_set import TrainingSet, read_training_set

    if arguments.minutes is not None and not arguments.minutes > 0.0:
        raise InputError(f"expected positive minutes, got {arguments.minutes}")
    if arguments.volumes is not None:
        _add_volumes(arguments)
        return
    if arguments.preset in MODES_PRESETS:
        _train_modes(arguments)
        return
    if arguments.config is not None:
        config = RunConfig.from_json(arguments.config.read_text(encoding="utf-8"))
    else:
        config = preset(arguments.preset)
    if find_spec("umap") is None:
        raise InputError("expected the package umap-learn, which maps the latent space, got none: install it")
    device = device_of(arguments)
    dataset = TrainingSet.joined([read_training_set(path) for path in arguments.data])
    former = None if arguments.checkpoint is None else load_model(arguments)
    with join_replicas(device) as replicas:
        result = train(
            dataset,
            arguments.out,
            config,
            device=device,
            resume=arguments.resume,
            regressor=None if former is None else former.model,
            whole=True,
            max_minutes=arguments.minutes,
            on_progress=_training_progress,
            replicas=replicas,
        )
    if not replicas.is_first:
        return
    path = arguments.out / "checkpoint.pt"
    card = training_card(dataset, config, result, device, former)
    report = progress("train", "volumes for the guided regressor")
    reached = former.fitted if former is not None and config.training.forward_share == 1.0 else None
    fitted = fit(result.model, dataset, config.training, former=reached, on_progress=report)
    tell("train: mapping the latent space")
    embedding = embed(result.model, dataset, config.training)
    save_checkpoint(path, result.model, config, fitted, card, embedding)
    tell(f"train: wrote {path}")


def _train_modes(arguments: argparse.Namespace) -> None:
    """Train named modes for a model whose encoder, regressors and irregular mode stay as they are."""
    from dataclasses import replace

    from vaereg.evaluation.modes.samples import decoded_recognition
    from vaereg.io.labelled_sets import read_labelled_set
    from vaereg.model.checkpoint import save_checkpoint
    from vaereg.model.modes.config import MODES_PRESETS
    from vaereg.model.modes.constructive.regular import LEAST_LATENT
    from vaereg.training.modes.card import modes_card
    from vaereg.training.modes.fitting import fit_modes
    from vaereg.training.modes.loop import train_modes
    from vaereg.training.modes.surface import fit_expected_surface
    from vaereg.training.replicas import join_replicas

    config = MODES_PRESETS[arguments.preset]
    device = device_of(arguments)
    former = load_model(arguments)
    if former.config.model.latent < LEAST_LATENT:
        raise InputError(
            f"expected a model of at least {LEAST_LATENT} latent numbers, got {former.config.model.latent}"
        )
    if former.config.model.latent != config.latent:
        config = replace(config, latent=former.config.model.latent)
    if len(arguments.data) > 1:
        raise InputError(f"expected one data set to train modes on, got {len(arguments.data)}")
    dataset = read_labelled_set(arguments.data[0])
    with join_replicas(device) as replicas:
        result = train_modes(
            dataset,
            arguments.out,
            config,
            device=device,
            resume=arguments.resume,
            max_minutes=arguments.minutes,
            recognise=lambda networks: decoded_recognition(former.model, networks, dataset),
            on_construction=progress("train", "volumes to learn lengths from"),
            on_progress=_training_progress,
            replicas=replicas,
        )
    if not replicas.is_first:
        return
    modes = fit_modes(result.networks, dataset, config)
    report = progress("train", "irregular volumes")
    fit_expected_surface(
        former.model, modes.networks, count=config.irregular, seed=config.seed, on_progress=report
    )
    modes = replace(modes, card=modes_card(modes, dataset, result, device))
    path = arguments.out / "checkpoint.pt"
    save_checkpoint(path, former.model, former.config, former.fitted, former.card, former.embedding, modes)
    tell(f"train: wrote {path}")


def _add_volumes(arguments: argparse.Namespace) -> None:
    """Add volumes of a user's own to the modes of a trained model."""
    from collections import Counter

    from vaereg.io.importing import import_volume, to_cubes
    from vaereg.model.checkpoint import save_checkpoint
    from vaereg.training.modes.own_volumes import add_volumes

    if arguments.checkpoint is None:
        raise InputError("expected --continue-from with the model that the volumes are added to, got none")
    former = load_model(arguments)
    if former.modes is None:
        raise InputError("expected a checkpoint with modes, got one with a free mixture")
    paths = [arguments.volumes]
    if arguments.volumes.is_dir():
        paths = sorted(path for path in arguments.volumes.iterdir() if path.is_file())
    volumes = []
    for path in paths:
        imported = import_volume(path, both_phases=True)
        volumes.extend((imported if imported.cubes else to_cubes(imported)).volumes)
    modes, added = add_volumes(
        former.modes, former.model, volumes, mode=arguments.mode, on_progress=progress("train", "volumes")
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "checkpoint.pt"
    save_checkpoint(path, former.model, former.config, former.fitted, former.card, former.embedding, modes)
    counts = Counter(volume.mode for volume in added)
    tell(f"train: added {', '.join(f'{count} {name}' for name, count in counts.most_common())}")
    new = {volume.mode: volume.base for volume in added if volume.mode != volume.base}
    for name, base in new.items():
        tell(f"train: {name} is a mode of your own, built as {base}")
    unsure = sum(volume.probability < _UNSURE for volume in added)
    if unsure:
        tell(f"train: {unsure} of {len(added)} volumes are recognised by less than half of the votes")
    tell(f"train: wrote {path}")


def _training_progress(step: int, steps: int, terms: dict[str, float]) -> None:
    listed = ", ".join(f"{name} {value:.3g}" for name, value in terms.items())
    tell(f"train: step {step}/{steps}: {listed}")
