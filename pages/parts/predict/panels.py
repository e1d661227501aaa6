"""Panels of the Predict page beside the prediction: materials, constants, nearest samples, blocks, files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.parts.common import widgets
from pages.parts.common.answers import LARGEST, PairOutcome, guaranteed_ends, predict_pair
from pages.parts.common.sessions import state
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.sessions.shown import ShownVolume, predict_volume
from pages.parts.common.text import sentence
from pages.parts.common.views.figures import COMPONENT_COLORS, class_title
from pages.parts.common.views.gallery import Caption, Line, Row, volume_gallery
from pages.parts.predict.answers import constants_table
from pages.parts.predict.figures import place_figure, young_figure
from pages.parts.predict.upload import MAX_FILES, Blocks, automatic_volume
from pages.parts.solving.tasks import solver_settings
from vaereg.elasticity import PROPERTIES
from vaereg.engineering import ENGINEERING_NAMES, engineering_constants
from vaereg.materials import TwoPhase
from vaereg.microstructure.segmentation import face_mismatch
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import Prediction

NEAREST = 3
"""Number of nearest training samples."""
TRAINING = "train"
"""Split of the volumes that the model was trained on."""
QUICK = 64 * 32**3
"""Voxels up to which blocks are predicted unasked: it takes a few seconds."""


def scale_of(own: TwoPhase, model: TwoPhase) -> float | None:
    """Factor of all moduli against the model's; None where contrast or Poisson ratio is another."""
    alike = np.allclose(
        [own.contrast, own.nu_stiff, own.nu_soft], [model.contrast, model.nu_stiff, model.nu_soft], rtol=1e-6
    )
    return own.e_stiff / model.e_stiff if alike else None


def scan_notice(volume: NDArray[np.uint8], *, novel: bool) -> None:
    """A line that says whether opposite faces fit together, and whether the model knows such volumes.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        novel: Whether the prediction is not to be relied on.
    """
    mismatch = face_mismatch(volume)
    parts = ["Unlike the training data: rely on the solver, not on the prediction."] if novel else []
    if not mismatch.periodic:
        parts.append(f"This cell is not periodic ({mismatch.words()}): mirror it in the sidebar.")
    if parts:
        (st.warning if novel else st.info)(" ".join(parts))


def constants_panel(
    outcome: PairOutcome | None,
    stiffness: NDArray[np.float64] | None,
    volume: NDArray[np.uint8],
    own: TwoPhase,
) -> None:
    """Engineering constants and directional stiffness, predicted and once the solver has the whole matrix.

    Args:
        outcome: Answer for the pair of phases; None where the volume is too large for one.
        stiffness: The solver's, shape (6, 6) [GPa].
        volume: Two-phase volume, shape (X, Y, Z).
        own: The two phases.
    """
    solved = None
    if stiffness is not None:
        try:
            solved = engineering_constants(stiffness).by_name()
        except ValueError as error:
            st.warning(f"There are no engineering constants of this stiffness. {sentence(str(error))}")
            return
    if outcome is None and stiffness is None:
        st.info("Engineering constants come with the solver's values for a volume as large as this.")
        return
    shown = outcome.mean if stiffness is None and outcome is not None else stiffness
    with st.container(key="constants-panes"):
        left, right = st.columns([5, 6], gap="medium")
    ends = guaranteed_ends(ENGINEERING_NAMES, volume, own, most=LARGEST)
    left.dataframe(constants_table(outcome, solved, ends), hide_index=True, key="constants")
    try:
        right.plotly_chart(
            young_figure(np.asarray(shown)),
            key="young",
            config={"displayModeBar": False},
            alt="Young's modulus by direction",
        )
    except (ValueError, np.linalg.LinAlgError):
        right.info("A direction carries no load: there is no surface of Young's modulus.")


def nearest_training_samples(embedding: Embedding, prediction: Prediction, count: int) -> NDArray[np.intp]:
    """Training samples whose latent vectors are nearest to that of the only volume of a prediction.

    Samples of the other splits are left out: the model was not trained on them.

    Returns:
        Their numbers in the latent map, nearest first, shape (count,); fewer where there are not so many.
    """
    order = embedding.nearest(prediction.latent, len(embedding))[0]
    return order[embedding.split[order] == TRAINING][:count]


def place_panel(checkpoint: Checkpoint, prediction: Prediction, scale: float | None) -> None:
    """Place in the latent map, and the training samples nearest to it, at the moduli that the user stated.

    Args:
        checkpoint: The model.
        prediction: For the volume.
        scale: Factor of all moduli against the model's; None where its pair does not apply.
    """
    embedding = checkpoint.embedding
    if embedding is None:
        st.info("This checkpoint has no map of its training data.")
        return
    nearest = nearest_training_samples(embedding, prediction, NEAREST)
    left, right = st.columns([5, 6], gap="medium")
    places = embedding.pca
    figure = place_figure(
        places[embedding.split == TRAINING], embedding.project_pca(prediction.latent)[0], places[nearest]
    )
    left.plotly_chart(
        figure,
        key="place",
        config={"displayModeBar": False},
        alt="Place of the volume among the training volumes",
    )
    columns = PROPERTIES[:3]
    properties = (1.0 if scale is None else scale) * embedding.properties
    with right:
        note = st.container()
        if scale is None:
            pair = checkpoint.model.materials
            note.caption(
                f"For Young's moduli of {pair.e_stiff:g} and {pair.e_soft:g} GPa, those of the model."
            )
        volume_gallery(
            "nearest-view",
            [embedding.volume(int(index)) for index in nearest],
            [
                Row(
                    panels=list(range(len(nearest))),
                    color=COMPONENT_COLORS[2],
                    title="Nearest training samples",
                )
            ],
            [
                Caption(
                    title=class_title(str(embedding.family[index])),
                    columns=columns,
                    lines=[
                        Line(
                            label="solver",
                            values=[f"{value:.1f}" for value in properties[index, : len(columns)]],
                            kind="solver",
                        )
                    ],
                )
                for index in nearest
            ],
        )


def shortlist_button(
    checkpoint: Checkpoint,
    shown: ShownVolume,
    pair: TwoPhase,
    answer: PairOutcome | None,
    stiffness: NDArray[np.float64] | None,
) -> None:
    """Puts the volume aside, for Compare and Explore, with the phases of the page.

    Args:
        checkpoint: Trained model.
        shown: Volume.
        pair: The two phases.
        answer: Prediction for these phases; None where the volume is too large for one.
        stiffness: By the solver for these phases, shape (6, 6) [GPa]; None where it is not known.
    """
    widgets.shortlist_button(
        shown.volume,
        lambda: ShortlistItem(
            name=shown.name,
            volume=shown.volume,
            origin=f"Predict, {shown.name}",
            materials=pair,
            mean=None if answer is None else np.diag(answer.mean),
            std=None if answer is None else np.diag(answer.std),
            predicted=None if answer is None else answer.mean,
            conductivity=None if answer is None else answer.conductivity,
            stiffness=stiffness,
            tolerance=None if stiffness is None else solver_settings(pair)["rtol"],
            checkpoint=checkpoint.hash,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """C11 ... C66 of a volume and their spread [GPa], shape (6,) each, and its novelty [-]."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    novelty: float


def _told(checkpoint: Checkpoint, volume: NDArray[np.uint8], own: TwoPhase, scale: float | None) -> _Told:
    """Prediction of the model, or for any two phases where its pair does not apply."""
    if scale is not None:
        prediction = predict_volume(checkpoint, volume)
        return _Told(scale * prediction.mean[0], scale * prediction.std[0], float(prediction.novelty[0]))
    return _told_of_pair(volume, own)


def _told_of_pair(volume: NDArray[np.uint8], own: TwoPhase) -> _Told:
    outcome = predict_pair(volume, own)
    return _Told(np.diag(outcome.mean), np.diag(outcome.std), float(outcome.stiffness.novelty[0]))


def blocks_panel(checkpoint: Checkpoint, blocks: Blocks, own: TwoPhase, scale: float | None) -> None:
    """Predictions of all blocks of a volume, and their spread, one after the other."""
    count, edge = blocks.volumes.shape[:2]
    st.subheader(f"{count} blocks of {edge}³ voxels")
    if blocks.left_out:
        st.caption(f"Spread over the volume. Left out: {blocks.left_out}.")
    quick = blocks.volumes.size <= QUICK
    wanted = st.toggle(
        "Predict all blocks",
        quick,
        key=state.PREDICT_BLOCKS,
        help="Switch it off to stop.",
        persist_state="session",
    )
    if not wanted:
        return
    bar, told = st.progress(0.0), []
    for number, volume in enumerate(blocks.volumes):
        bar.progress(number / count, f"Block {number + 1} of {count}")
        told.append(_told(checkpoint, volume, own, scale))
    bar.empty()
    mean, std = np.array([item.mean for item in told]), np.array([item.std for item in told])
    spread = {"Mean of blocks [GPa]": mean.mean(0), "Standard deviation of blocks [GPa]": mean.std(0)}
    widgets.show_table(widgets.property_table(spread), key="spread-table", missing="–")
    columns: dict[str, object] = {
        "First voxel": [str(tuple(start)) for start in blocks.starts.tolist()],
        "Volume fraction [-]": [float(volume.mean()) for volume in blocks.volumes],
    }
    for i, name in enumerate(PROPERTIES):
        columns |= {f"{name} [GPa]": mean[:, i], f"{name} ± std [GPa]": std[:, i]}
    columns["Novelty [-]"] = [item.novelty for item in told]
    _show_and_offer(pd.DataFrame(columns), "blocks")


def note_file(shown: ShownVolume, prediction: Prediction) -> None:
    """Remember the prediction of a file that is shown, and its volume, for the table of several."""
    if shown.upload:
        st.session_state.setdefault(state.FILES, {})[shown.upload] = ("as you set it", prediction)
        _keep_volume(shown.upload, shown.volume)


def _keep_volume(file: str, volume: NDArray[np.uint8]) -> None:
    """Remember the volume of a file, a bit for each voxel, so that other phases can be asked for."""
    if volume.size <= LARGEST:
        kept = st.session_state.setdefault(state.FILE_VOLUMES, {})
        kept[file] = (volume.shape, np.packbits(volume))


def _kept_volume(file: str) -> NDArray[np.uint8] | None:
    shape, bits = st.session_state.get(state.FILE_VOLUMES, {}).get(file, (None, None))
    return None if shape is None else np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape)


def files_panel(
    checkpoint: Checkpoint, files: Sequence[UploadedFile], own: TwoPhase, scale: float | None
) -> None:
    """A line for each of several files, to download; the file that is shown as it is shown."""
    st.subheader(
        "All files",
        help="A file that was shown counts as you set it, the others as the column Note says: the first "
        "volume; of labels the largest one is stiff, grey values are cut at Otsu's threshold.",
    )
    if not st.toggle(
        "Predict all files",
        True,
        key=state.PREDICT_FILES,
        help="Switch it off to stop; what is done is kept.",
        persist_state="session",
    ):
        return
    results = st.session_state.setdefault(state.FILES, {})
    rows: list[dict[str, object]] = []
    bar = st.progress(0.0)
    for number, file in enumerate(files[:MAX_FILES]):
        if file.file_id not in results:
            bar.progress(number / len(files[:MAX_FILES]), f"File {number + 1} of {len(files[:MAX_FILES])}")
            try:
                volume, note = automatic_volume(file)
                results[file.file_id] = (note, predict_volume(checkpoint, volume))
                _keep_volume(file.file_id, volume)
            except (ValueError, MemoryError) as error:
                results[file.file_id] = (str(error), None)
        note, prediction = results[file.file_id]
        row: dict[str, object] = {"File": file.name, "Note": note}
        if prediction is not None:
            row |= _file_columns(file.file_id, prediction, own, scale)
        rows.append(row)
    bar.empty()
    if len(files) > MAX_FILES:
        st.warning(f"The table holds the first {MAX_FILES} of {len(files)} files.")
    _show_and_offer(pd.DataFrame(rows), "files")


def _file_columns(file: str, prediction: Prediction, own: TwoPhase, scale: float | None) -> dict[str, object]:
    """What the table says of one file; no stiffness where it is too large for the phases."""
    columns: dict[str, object] = {"Volume fraction [-]": float(prediction.volume_fraction[0])}
    if scale is not None:
        told = _Told(scale * prediction.mean[0], scale * prediction.std[0], float(prediction.novelty[0]))
    elif (volume := _kept_volume(file)) is not None:
        told = _told_of_pair(volume, own)
    else:
        return columns
    columns["Novelty [-]"] = told.novelty
    for i, name in enumerate(PROPERTIES):
        columns |= {f"{name} [GPa]": told.mean[i], f"{name} ± std [GPa]": told.std[i]}
    return columns


def _show_and_offer(table: pd.DataFrame, name: str) -> None:
    widgets.show_table(table, key=f"{name}-shown", missing="–", digits=2)  # spreads are small
    safe = table.copy()
    for column in safe.select_dtypes(
        "str"
    ):  # a name that begins like a formula would be run by a spreadsheet
        safe[column] = safe[column].str.replace(r"^([=+\-@])", r"'\1", regex=True)
    st.download_button(
        "Download the table (.csv)", safe.to_csv(index=False), f"{name}.csv", "text/csv", on_click="ignore"
    )
