"""Names of the components of a model as the pages show them: modes by their name, others by their number.

The module is free of any user interface.
"""

import base64
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pages.parts.common.views.figures import COMPONENT_COLORS
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.release import Modes

__all__ = [
    "component_color",
    "component_column",
    "component_kind",
    "component_title",
    "lowered",
    "mode_named",
    "mode_picture",
    "mode_title",
    "with_titles",
]

_PALE = "#808a96"
"""What paler colours are mixed with: it has contrast on both grounds."""
_PICTURES = Path(__file__).parents[4] / "assets" / "modes"


def mode_title(name: str) -> str:
    """Name of a mode as it is shown: "Closed foam" of "closed-foam"."""
    return name.replace("-", " ").capitalize()


def mode_named(title: str, names: Sequence[str] = MODE_NAMES) -> str:
    """Name of the mode that a text stands for, be it a name or a title; empty where there is none such.

    Args:
        title: Name or title.
        names: Names that there are.
    """
    name = title.strip().lower().replace(" ", "-")
    return name if name in names else ""


def component_kind(checkpoint: Checkpoint) -> str:
    """Word for a component of a model: "mode" where they have names."""
    return "component" if checkpoint.modes is None else "mode"


def component_title(checkpoint: Checkpoint, component: int, *, made_by: str | None = None) -> str:
    """Component as it is shown: "Closed foam", or "Component 3" of a model whose components have no names.

    Args:
        checkpoint: Model of the pages.
        component: Index of the component.
        made_by: Hash of the model that the component belongs to; that of the pages if left out.
    """
    if checkpoint.modes is None or made_by not in (None, checkpoint.hash):
        return f"Component {component + 1}"
    return mode_title(checkpoint.modes.names[component])


def component_column(checkpoint: Checkpoint, components: NDArray[np.int64]) -> NDArray:
    """Column of a table: names of modes, or numbers of components from 1."""
    if checkpoint.modes is None:
        return components + 1
    return np.array([component_title(checkpoint, component) for component in components.tolist()])


def component_color(component: int) -> str:
    """Colour of a component, as #rrggbb; modes beyond the colours, which users add, have paler ones."""
    turn, place = divmod(component, len(COMPONENT_COLORS))
    own, grey = (
        np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) for text in (COMPONENT_COLORS[place], _PALE)
    )
    share = 0.5**turn
    return "#" + "".join(f"{round(value):02x}" for value in share * own + (1.0 - share) * grey)


def lowered(title: str) -> str:
    """Title within a sentence: "closed foam"."""
    return title[:1].lower() + title[1:]


def mode_picture(modes: Modes, component: int) -> str:
    """Small picture of a mode, as the address of an image in itself; made by benchmarks/mode_pictures.py.

    A mode of a user's own volumes has the picture of the mode that decodes it.
    """
    return _picture(MODE_NAMES[int(modes.base(np.array([component]))[0])])


@cache
def _picture(name: str) -> str:
    content = base64.b64encode((_PICTURES / f"{name}.png").read_bytes()).decode("ascii")
    return f"data:image/png;base64,{content}"


def with_titles(text: str) -> str:
    """Message of the package with the modes as they are shown within a sentence."""
    names = "|".join(name for name in MODE_NAMES if "-" in name)
    return re.sub(rf"\b({names})\b", lambda match: match[0].replace("-", " "), text)
