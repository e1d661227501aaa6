"""Text from outside and messages of the package, as Markdown of a page."""

import re

__all__ = ["counted", "plain", "sentence"]


def counted(number: int, noun: str) -> str:
    """Number with its noun: "1 design", "3 designs"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def plain(text: str) -> str:
    """Escape every character of a text from outside that Markdown gives a meaning."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return escaped.replace(":material", ":\u2060material")  # Streamlit looks for icons after Markdown


def sentence(text: str) -> str:
    """Make a sentence of the page from a message of the package, which is a clause."""
    text = text.strip().rstrip(".")
    end = "" if text.endswith("?") else "."
    begins_with_file = re.search(r"\.[A-Za-z]\w{1,4}$", text.partition(": ")[0])
    is_symbol = not text[:1].isascii() or re.match(r"k[xyz]* ", text)  # ν is no N, and k no K
    return plain(text if begins_with_file or is_symbol else text[:1].upper() + text[1:]) + end
