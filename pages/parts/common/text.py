"""Text from outside and messages of the package, as Markdown of a page."""

import re


def plain(text: str) -> str:
    """Text from outside, with every character that Markdown gives a meaning escaped."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return escaped.replace(":material", ":\u2060material")  # icons are looked for after Markdown is read


def sentence(text: str) -> str:
    """A message of the library, which is a clause, as a sentence of the page."""
    text = text.strip().rstrip(".")
    of_file = re.search(r"\.[A-Za-z]\w{1,4}$", text.partition(": ")[0])  # which begins with its name
    return plain(text if of_file else text[:1].upper() + text[1:]) + "."
