"""Constraints in words, as chips and cards name them; free of any user interface."""

from pages.parts.common.requests.request import Request

__all__ = ["CHIPS", "constraint_title", "constraint_words"]

CHIPS = {
    "connected_stiff": "Stiff phase connected",
    "connected_soft": "Soft phase connected",
    "no_islands": "No islands",
    "no_closed_pores": "No closed pores",
}
_NAMES = {
    **CHIPS,
    "min_feature_stiff": "Least feature, stiff",
    "min_feature_soft": "Least feature, soft",
    "symmetry": "Symmetry",
    "volume_fraction": "Volume fraction",
}


def constraint_title(name: str) -> str:
    """Name of a constraint without its numbers."""
    return _NAMES[name]


def constraint_words(name: str, request: Request) -> str:
    """Constraint as chips and cards name it: "No islands", "Least feature, stiff 3 voxels (30 µm)"."""
    constraints = request.constraints
    if name.startswith("min_feature"):
        voxels = getattr(constraints, name)
        length = f" ({request.voxel.text(voxels)})" if request.voxel else ""
        return f"{_NAMES[name]} {voxels:g} voxels{length}"
    if name == "symmetry":
        return f"{constraints.symmetry.capitalize()} symmetry"
    if name.startswith("connected"):
        axes = constraints.connected.get(name.removeprefix("connected_"), "xyz")
        return _NAMES[name] + ("" if axes == "xyz" else f" along {', '.join(axes)}")
    return _NAMES[name]
