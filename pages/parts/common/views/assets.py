"""Programs and styles of the components, of several files each: what a browser gets is one text."""

from pathlib import Path

__all__ = ["VOLUME_PROGRAMS", "joined"]

_ASSETS = Path(__file__).parents[4] / "assets"
VOLUME_PROGRAMS = ("volumes/elements.js", "volumes/look.js", "volumes/shader.js", "volumes/renderer.js")
"""Files that draw volumes, for every component that does."""


def joined(*names: str) -> str:
    """Texts of files of the assets, one after the other."""
    return "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in names)
