"""Files of the user to the volume of the Predict page: which array, which phases, which part."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.parts.common.sessions import state
from pages.parts.common.sessions.shown import show_volume
from pages.parts.common.sessions.uploads import bounded_uploads, refusal
from pages.parts.predict.figures import grey_figure
from vaereg.errors import InputError
from vaereg.io.importing import AutomaticChoices, Choices, Part, import_volume, to_cubes
from vaereg.io.readers import SUFFIXES, RawLayout, StoredArray, as_volumes
from vaereg.microstructure.segmentation import (
    MAX_LABELS,
    Segmentation,
    face_mismatch,
    histogram,
    otsu_threshold,
    split_blocks,
)
from vaereg.model.prediction import MIN_EDGE

__all__ = ["MAX_FILES", "Blocks", "automatic_volume", "chosen_blocks", "upload_inputs"]

MAX_FILES = 20
MAX_VOXELS = 2**24
"""Most voxels that a file of this page may hold, 256³; a part of it is then chosen."""
MAX_MEGABYTES = 100
MAX_BLOCKS = 64
_READ = 16
"""Arrays and what was made of them, of one file, that are kept."""
ORDERS = ("xyz", "zyx", "xzy", "yxz", "yzx", "zxy")
"""Orders of stored axes."""
EDGES = (16, 32, 48, 64, 96, 128)
KEPT: dict[str, Any] = {"persist_state": "session"}
"""Options of the inputs of a file: they stay while other files are shown."""

_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """Cubes that a volume was split into."""

    name: str
    volumes: NDArray[np.uint8]
    """Shape (N, X, Y, Z)."""
    starts: NDArray[np.int64]
    """First voxel of each, shape (N, 3)."""
    left_out: str
    """Parts of the volume that are in no block, in words."""


def upload_inputs() -> tuple[Sequence[UploadedFile], str | None]:
    """The uploader and, for the file that is chosen, what its numbers mean; shows the volume that follows.

    A file that is refused leaves what was shown before.

    Returns:
        The files, and why the chosen one was refused, or None.
    """
    chosen_files = st.file_uploader(
        "Files of volumes: two phases, grey values or labels",
        accept_multiple_files=True,
        key=state.UPLOAD,
        max_upload_size=MAX_MEGABYTES,
        help=f"{', '.join(SUFFIXES)}, up to {MAX_MEGABYTES} MB and {MAX_VOXELS / 1e6:.0f} million voxels.",
    )
    files = bounded_uploads(chosen_files)
    if not files:
        st.session_state.pop(state.UPLOAD_BLOCKS, None)
        st.session_state.pop(state.UPLOAD_READ, None)
        return [], refusal()
    chosen = 0
    if len(files) > 1:
        names = [file.name for file in files]
        chosen = st.selectbox("File that is shown", range(len(files)), len(files) - 1, names.__getitem__)
    file = files[chosen]
    if st.session_state.get(state.UPLOAD_READ, ("",))[0] != file.file_id:
        st.session_state[state.UPLOAD_READ] = (file.file_id, {})  # what was read of others is let go
    try:
        _show(file)
    except (InputError, MemoryError) as error:
        st.session_state.pop(state.UPLOAD_BLOCKS, None)
        return files, str(error) or "the file is too large"
    return files, refusal()


def chosen_blocks() -> Blocks | None:
    """The blocks of the file that is shown, where the user has asked for them."""
    return st.session_state.get(state.UPLOAD_BLOCKS)


def automatic_volume(file: UploadedFile) -> tuple[NDArray[np.uint8], str]:
    """The first volume of a file without a question, and how it was taken: for tables of many files.

    Raises:
        InputError: The file holds no such volume, or one that is too large to take as a whole.
    """
    imported = import_volume(file, AutomaticChoices(max_voxels=MAX_VOXELS), name=file.name)
    imported = to_cubes(imported, max_voxels=MAX_VOXELS)
    return _checked(imported.volume, file.name), imported.read_as.sentence()


class _WidgetChoices(Choices):
    """Answers to what a file leaves open, asked in the sidebar."""

    def __init__(self, file: UploadedFile) -> None:
        super().__init__(max_voxels=MAX_VOXELS)
        self._key, self._name = file.file_id, file.name
        self._place = file.file_id
        self.title = file.name
        self.note = ""
        self.blocks: Blocks | None = None

    def choose_raw(self) -> RawLayout:
        return _raw_inputs(self._key)

    def choose_array(self, arrays: Sequence[StoredArray]) -> str | None:
        usable = [array.name for array in arrays if array.usable]
        if len(usable) < 2:
            return None
        dataset = st.selectbox("Array in the file", usable, key=f"dataset-{self._key}", **KEPT)
        self.title += f", {dataset}"
        self._place += f"-{dataset}"
        return dataset

    def choose_axes(self, stored: StoredArray | None) -> str | None:
        with st.expander("Axes and voxels"):
            said = (
                f"as the file says: {stored.axes}"
                if stored is not None and stored.axes
                else "x, y, z in order"
            )
            axes = st.selectbox(
                "Axes of the array",
                [said, *ORDERS],
                key=f"axes-{self._key}",
                **KEPT,
                help="The stored order, the last axis fastest. A stack of pages is zyx.",
            )
            edges = st.text_input(
                "Edges of a voxel x,y,z",
                key=f"edges-{self._key}",
                **KEPT,
                placeholder="as the file says",
                help="Any unit; only their ratios count.",
            )
        self.voxel_size = _edges(edges or "")
        self._place += f"-{axes}-{edges}"
        if axes == said:
            return None
        return axes if stored is None or len(stored.shape) == len(axes) else f"n{axes}"

    def choose_number(self, count: int) -> int:
        number = 1
        if count > 1:
            number = int(st.number_input("Volume", 1, count, key=f"number-{self._key}", **KEPT))
            self.title += f", volume {number} of {count}"
        self._place += f"-{number}"
        return number

    def choose_segmentation(self, values: NDArray[Any], labels: NDArray[Any] | None) -> Segmentation:
        return _phase_inputs(values[0], labels, self._place, self._name)

    def choose_part(self, volume: NDArray[np.uint8]) -> Part | None:
        part, self.note, self.blocks = _part_inputs(volume, self._key, self._name)
        return part

    def choose_mirror(self, volume: NDArray[np.uint8]) -> bool:
        if 8 * volume.size > state.MAX_EDGE**3 or face_mismatch(volume).periodic:
            return False
        return st.toggle(
            "Mirror the cell",
            key=f"mirror-{self._key}",
            **KEPT,
            help="A scan is not periodic: with its mirror images it is, and it takes eight times as long.",
        )

    def remember(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        return _remember(key, make)


def _show(file: UploadedFile) -> None:
    choices = _WidgetChoices(file)
    imported = to_cubes(import_volume(file, choices, name=file.name), max_voxels=MAX_VOXELS)
    _checked(imported.volume, file.name)
    signature = (file.file_id, imported.read_as)
    if choices.blocks is None:
        st.session_state.pop(state.UPLOAD_BLOCKS, None)
    else:
        st.session_state[state.UPLOAD_BLOCKS] = choices.blocks
    if st.session_state.get(state.UPLOAD_SHOWN) != signature:
        st.session_state[state.UPLOAD_SHOWN] = signature
        show_volume(
            choices.title + choices.note, imported.volume, upload=file.file_id, read_as=imported.read_as
        )


def _edges(text: str) -> tuple[float, float, float] | None:
    if not text.strip():
        return None
    try:
        edges = tuple(float(word) for word in text.split(","))
    except ValueError:
        edges = ()
    if len(edges) != 3:
        raise InputError(f"expected three edges of a voxel x,y,z, got {text[:40]!r}")
    return edges[0], edges[1], edges[2]


def _raw_inputs(key: str) -> RawLayout:
    shape = st.text_input(
        "Shape of the raw file", "32,32,32", key=f"shape-{key}", **KEPT, help="X,Y,Z: Z runs fastest."
    )
    kinds = ["uint8", "<u2", ">u2", "<i2", ">i2", "<f4", ">f4"]
    kind = st.selectbox("Type of its numbers", kinds, key=f"dtype-{key}", **KEPT)
    try:
        lengths = tuple(int(word) for word in shape.split(","))
    except ValueError as error:
        raise InputError(f"expected a shape X,Y,Z, got {shape[:40]!r}") from error
    return RawLayout(shape=lengths, dtype=kind)


def _phase_inputs(array: NDArray, values: NDArray | None, key: str, name: str) -> Segmentation:
    """How the values become phases: nothing for 0 and 1, a choice of labels, or a threshold."""
    two_phase = values is not None and set(values.tolist()) <= {0, 1}
    threshold = stiff = None
    if values is not None and len(values) < 2 and not two_phase:
        raise InputError(
            f"{name}: expected two phases, grey values or labels, got the value {values[0]:g} only"
        )
    if not two_phase:
        grey = values is None
        if values is not None:
            grey = "grey values" == st.radio(
                "The values are", ["labels", "grey values"], key=f"kind-{key}", horizontal=True, **KEPT
            )
        if grey:
            threshold = _threshold_input(array, key)
        elif values is not None:
            stiff = st.multiselect(
                "Labels that are stiff",
                values.tolist(),
                [values.max().item()],
                key=f"labels-{key}",
                **KEPT,
                help=f"All others are soft. Files of up to {MAX_LABELS} values count as labels.",
            )
            if not 0 < len(stiff) < len(values):
                raise InputError(f"{name}: expected some labels stiff and some soft, got all of one kind")
    swap = st.toggle(
        "Swap stiff and soft", key=f"swap-{key}", **KEPT, help="A scan may store the pores as 1."
    )
    return Segmentation(threshold=threshold, stiff=stiff, swap=swap)


def _threshold_input(array: NDArray, key: str) -> float:
    counts, edges = _remember(("histogram", key), lambda: histogram(array))
    start = _remember(("otsu", key), lambda: otsu_threshold(array))
    low, high = float(array.min()), float(array.max())
    magnitude = int(np.floor(np.log10(high - low)))
    level = st.slider(
        "Threshold (larger values are stiff)",
        low,
        high,
        start,
        (high - low) / 256,
        format=f"%.{max(0, 2 - magnitude)}f" if -6 < magnitude < 12 else "%.4g",
        key=f"threshold-{key}",
        **KEPT,
        help="It begins at Otsu's choice.",
    )
    figure = grey_figure(counts, edges, level)
    st.plotly_chart(
        figure,
        key=f"grey-{key}",
        config={"displayModeBar": False},
        alt="Histogram of the grey values with the threshold",
    )
    return float(level)


def _part_inputs(volume: NDArray[np.uint8], key: str, name: str) -> tuple[Part | None, str, Blocks | None]:
    """All of the volume, a part of it, or one of the blocks that it is split into."""
    edges = [edge for edge in EDGES if edge <= min(volume.shape)]
    large = volume.size > state.MAX_EDGE**3
    if not edges or not (large or min(volume.shape) > EDGES[1]):
        return None, "", None
    ways = (["whole"] if not large else []) + ["part", "blocks"]
    way = st.radio(
        "Show", ways, key=f"way-{key}", horizontal=True, **KEPT, help="A large volume is shown in parts."
    )
    if way == "whole":
        return None, "", None
    edge = st.selectbox("Voxels per edge", edges, min(1, len(edges) - 1), key=f"edge-{key}", **KEPT)
    if way == "part":
        starts = [
            int(
                st.number_input(
                    f"First voxel along {axis}",
                    0,
                    length - edge,
                    (length - edge) // 2,
                    key=f"{axis}-{key}",
                    **KEPT,
                )
            )
            for axis, length in zip("xyz", volume.shape, strict=True)
        ]
        part = Part(start=(starts[0], starts[1], starts[2]), shape=(edge, edge, edge))
        return part, f", part {edge}³ from {part.start}", None
    blocks, starts = split_blocks(volume, edge)
    usable = np.flatnonzero([block.min() != block.max() for block in blocks])
    if len(usable) == 0:
        raise InputError(f"{name}: expected both phases in a block, got one in each")
    both = usable[np.linspace(0, len(usable) - 1, min(len(usable), MAX_BLOCKS)).round().astype(int)]
    number = int(st.number_input("Block", 1, len(both), key=f"block-{key}", **KEPT))
    rest = 1.0 - blocks.size / volume.size
    parts = {
        f"{len(usable) - len(both)} blocks between those taken": len(usable) > len(both),
        f"{len(blocks) - len(usable)} blocks of one phase": len(blocks) > len(usable),
        f"{100 * rest:.0f} % of the voxels, at the far faces": rest > 0.0,
    }
    left_out = ", ".join(part for part, is_so in parts.items() if is_so)
    kept = Blocks(name=name, volumes=blocks[both], starts=starts[both], left_out=left_out)
    x, y, z = kept.starts[number - 1].tolist()
    return Part(start=(x, y, z), shape=(edge, edge, edge)), f", block {number} of {len(both)}", kept


def _checked(volume: NDArray, name: str) -> NDArray[np.uint8]:
    if volume.ndim == 3 and min(volume.shape) < MIN_EDGE:
        raise InputError(f"{name}: expected at least {MIN_EDGE} voxels per edge, got shape {volume.shape}")
    if volume.size > state.MAX_EDGE**3:
        raise InputError(
            f"{name}: expected at most {state.MAX_EDGE}³ voxels as a whole, got shape {volume.shape}"
        )
    return as_volumes(volume, name=name, cubic=False, both_phases=True)[0]


def _remember(key: Hashable, make: Callable[[], _Made]) -> _Made:
    """Return a result for the shown file from the session, or make it; a failure is not tried again."""
    _, results = st.session_state[state.UPLOAD_READ]
    if key not in results:
        if len(results) >= _READ:
            results.clear()
        try:
            with st.spinner("Reading …"):
                results[key] = make()
        except (InputError, MemoryError) as error:
            results[key] = InputError(str(error))
    if isinstance(results[key], InputError):
        raise InputError(str(results[key]))
    return results[key]
