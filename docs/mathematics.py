"""Turns the formulas of the pages into MathML while they are built: nothing is fetched, no script runs."""

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?:\((?P<inline>.*?)\\\)|\[(?P<block>.*?)\\\])</(?P=tag)>',
    re.DOTALL,
)


def on_page_content(content: str, **_: object) -> str:
    """Replace what pymdownx.arithmatex marked (a hook of MkDocs)."""
    return _FORMULA.sub(_as_mathml, content)


def _as_mathml(match: re.Match[str]) -> str:
    block = match["block"]
    return convert(html.unescape(match["inline"] or block), display="inline" if block is None else "block")
