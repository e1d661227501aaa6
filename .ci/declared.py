"""Link what a wheel declares as its dependencies, and nothing else, from this environment into another.

`python .ci/declared.py WHEEL SITE_PACKAGES`: a fresh environment so has no package that the wheel forgot to
ask for, without the minutes and gigabytes of a second installation of PyTorch.
"""

import sys
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def main(wheel: Path, site_packages: Path) -> None:
    """Link every package that the wheel needs, directly or through another."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(archive.read(metadata).decode())
    needed = _closure(fields.get_all("Requires-Dist", []))
    for name in needed:
        for top in {file.parts[0] for file in distribution(name).files or ()}:
            source = Path(str(distribution(name).locate_file(top)))
            link = site_packages / top
            if top not in ("..", "__pycache__") and source.exists() and not link.exists():
                link.symlink_to(source)
    print(f"{len(needed)} packages: {', '.join(sorted(needed))}")


def _closure(requirements: Iterable[str]) -> set[str]:
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            if (requirement.name, wanted) not in found:
                found.add((requirement.name, wanted))
                more = distribution(requirement.name).requires or ()
                waiting += [(Requirement(text), wanted) for text in more]
    return {name for name, _ in found}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
