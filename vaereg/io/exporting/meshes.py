"""Two-phase volumes as meshes: a closed surface (STL) and a periodic finite element mesh (Abaqus)."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import VOIGT_ORDER
from vaereg.io.exporting.solver_inputs import VOID_RATIO, solid_phases
from vaereg.materials import TwoPhase

__all__ = ["closed_surface", "describe_surface", "enclosed_volume", "write_abaqus", "write_stl"]

_TETRAHEDRA = [
    np.cumsum([np.zeros(3, int), *(np.eye(3, dtype=int)[axis] for axis in order)], axis=0)
    for order in itertools.permutations(range(3))
]
"""Six tetrahedra of a cube, which meet those of its neighbours face to face: corners, shape (4, 3)."""
_STRAIN = 1e-3
_HEXAHEDRON = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))


def closed_surface(volume: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Surface of the stiff phase, cut off at the faces of the cell, by marching tetrahedra.

    Each tetrahedron between eight neighbouring voxel centres is cut half-way between the phases. The surface
    is closed and does not touch itself, whatever the volume (Doi & Koide 1991).

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).

    Returns:
        Corners of triangles that turn anticlockwise as seen from outside, shape (triangles, 3, 3) [voxel].
    """
    field = np.pad(np.asarray(volume, dtype=np.uint8), 1)
    shape = np.array(field.shape) - 1
    corners = [
        field[tuple(slice(o, o + n) for o, n in zip(at, shape, strict=True))] for at in np.ndindex(2, 2, 2)
    ]
    total = np.sum(corners, axis=0, dtype=np.uint8)
    cubes = np.argwhere((total > 0) & (total < 8))
    triangles = []
    for tetrahedron in _TETRAHEDRA:
        at = cubes[:, None] + tetrahedron
        inside = field[at[..., 0], at[..., 1], at[..., 2]].astype(bool)
        case = inside @ (1, 2, 4, 8)
        for pattern in range(1, 15):
            tetrahedra = at[case == pattern]
            if len(tetrahedra):
                triangles.append(_cut(tetrahedra, [i for i in range(4) if pattern >> i & 1]))
    if not triangles:
        return np.zeros((0, 3, 3))
    return np.concatenate(triangles) - 0.5  # voxel i reaches from i to i + 1; one layer was added


def enclosed_volume(corners: NDArray[np.float64]) -> float:
    """Volume inside a closed surface of triangles (triangles, 3, 3), by the divergence theorem."""
    return float(np.einsum("ni,ni->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0)


def write_stl(path: Path, volume: NDArray[np.uint8], *, voxel_size: float = 1.0) -> None:
    """Write the surface of the stiff phase as binary STL; lengths are [voxel] times `voxel_size`."""
    corners = closed_surface(volume) * voxel_size
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets = np.zeros(len(corners), dtype=kind)
    facets["normal"], facets["corners"] = normals, corners
    head = b"vaereg: surface of the stiff phase".ljust(80)
    path.write_bytes(head + np.uint32(len(facets)).astype("<u4").tobytes() + facets.tobytes())


def describe_surface(volume: NDArray[np.uint8]) -> str:
    """How the volume inside the surface of an STL file differs from that of the stiff voxels, in words."""
    inside, voxels = enclosed_volume(closed_surface(volume)), int(np.asarray(volume).sum())
    return (
        f"the surface encloses {inside:.1f} voxels, the stiff phase has {voxels}: "
        f"{100.0 * (inside / voxels - 1.0):+.1f} % (corners are cut)"
    )


def write_abaqus(
    path: Path,
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    *,
    voxel_size: float = 1.0,
    comments: str = "",
) -> None:
    """Write a voxel mesh with periodic boundary conditions and the six load cases as an Abaqus input file.

    Every voxel is one C3D8. Three reference nodes carry the macroscopic strain E: the displacement of the one
    of axis j is E times the edge of the cell along j, and its reaction force is the mean stress on the face
    normal to j times the area of that face.

    Args:
        path: File to create or replace.
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        materials: The two phases.
        voxel_size: Edge of a voxel in the unit of length of the model.
        comments: Lines to put at the head of the file.
    """
    with path.open("w", encoding="ascii", errors="replace", newline="\n") as file:
        for line in _abaqus(volume, materials, voxel_size, comments):
            file.write(line + "\n")


def _cut(corners: NDArray[np.int64], inside: list[int]) -> NDArray[np.float64]:
    """Triangles half-way between the corners of tetrahedra (N, 4, 3) that are inside and the others."""
    outside = [i for i in range(4) if i not in inside]

    def middle(first: int, second: int) -> NDArray[np.float64]:
        return (corners[:, first] + corners[:, second]) / 2.0

    if len(inside) == 2:
        (a, b), (c, d) = inside, outside
        square = [middle(a, c), middle(a, d), middle(b, d), middle(b, c)]
        faces = [
            np.stack([square[0], square[1], square[2]], 1),
            np.stack([square[0], square[2], square[3]], 1),
        ]
    else:
        (tip,), base = (inside, outside) if len(inside) == 1 else (outside, inside)
        faces = [np.stack([middle(tip, i) for i in base], axis=1)]
    outward = corners[:, outside].mean(axis=1) - corners[:, inside].mean(axis=1)
    result = []
    for face in faces:
        normal = np.cross(face[:, 1] - face[:, 0], face[:, 2] - face[:, 0])
        turned = np.einsum("ni,ni->n", normal, outward) < 0.0
        result.append(np.where(turned[:, None, None], face[:, ::-1], face))
    return np.concatenate(result)


def _abaqus(
    volume: NDArray[np.uint8], materials: TwoPhase, voxel_size: float, comments: str
) -> Iterator[str]:
    shape = np.array(volume.shape)
    points = shape + 1
    edges = shape * voxel_size
    number = 1 + np.arange(points.prod()).reshape(points[::-1]).T  # x fastest
    references = [int(points.prod()) + 1 + axis for axis in range(3)]
    yield "*HEADING"
    yield "Periodic two-phase cell, one C3D8 per voxel"
    yield from (f"** {line}" for line in comments.splitlines())
    yield "** Units: moduli and stress in GPa, lengths in voxels times the voxel size"
    yield f"** Voxel size {voxel_size:g}"
    yield "** The C3D8 of Abaqus is a B-bar element: at a contrast of 50 its stiffness differs by 0.5 to 1.2"
    yield "** per cent from that of the fully integrated element (HEX8) that vaereg solves with."
    yield f"** Six static steps of strain {_STRAIN:g}. The mean of the printed stresses over all integration"
    yield "** points, which stand for equal volumes, divided by the strain is a column of the stiffness."
    yield "*NODE"
    for k, j, i in np.ndindex(*points[::-1]):
        yield f"{number[i, j, k]}, {i * voxel_size:.9g}, {j * voxel_size:.9g}, {k * voxel_size:.9g}"
    for axis in range(3):
        place = np.where(np.arange(3) == axis, 1.5 * edges, 0.0)
        yield f"{references[axis]}, " + ", ".join(f"{value:.9g}" for value in place)
    yield "*NSET, NSET=REFERENCE"
    yield ", ".join(map(str, references))
    yield "*ELEMENT, TYPE=C3D8, ELSET=CELL"
    corners = [
        number[tuple(slice(o, o + n) for o, n in zip(at, shape, strict=True))].ravel(order="F")
        for at in _HEXAHEDRON
    ]
    for element, nodes in enumerate(np.stack(corners, axis=1).tolist(), start=1):
        yield f"{element}, " + ", ".join(map(str, nodes))
    phases = np.asarray(volume).ravel(order="F")
    if materials.has_void:
        yield f"** A void has a Young's modulus of {VOID_RATIO:g} times that of the solid: a mesh needs some"
    for phase, (name, material) in enumerate(zip(("SOFT", "STIFF"), solid_phases(materials), strict=True)):
        members = (1 + np.flatnonzero(phases == phase)).tolist()
        if not members:
            continue
        yield f"*ELSET, ELSET={name}"
        for start in range(0, len(members), 16):
            yield ", ".join(map(str, members[start : start + 16]))
        yield f"*MATERIAL, NAME={name}"
        yield "*ELASTIC"
        yield f"{material.young_modulus:.9g}, {material.poisson_ratio:.9g}"
        if material.thermal_expansion is not None:
            yield "*EXPANSION"
            yield f"{1e-6 * material.thermal_expansion:.9g}"
        yield f"*SOLID SECTION, ELSET={name}, MATERIAL={name}"
    yield from _periodic_equations(number, shape, references)
    for case, name in enumerate(VOIGT_ORDER):
        yield f"** Load case {case + 1}: strain {name}"
        yield "*STEP"
        yield "*STATIC"
        yield "*BOUNDARY, OP=NEW"
        yield "1, 1, 3"
        i, j = ("xyz".index(letter) for letter in name)
        for axis in range(3):
            for direction in range(3):
                value = (
                    _STRAIN * edges[axis] * (1.0 if case < 3 else 0.5) if {axis, direction} == {i, j} else 0.0
                )
                yield f"{references[axis]}, {direction + 1}, {direction + 1}, {value:.9g}"
        yield "*NODE PRINT, NSET=REFERENCE"
        yield "U, RF"
        yield "*EL PRINT, ELSET=CELL"
        yield "S"
        yield "*END STEP"


def _periodic_equations(
    number: NDArray[np.int64], shape: NDArray[np.int64], references: list[int]
) -> Iterator[str]:
    """Nodes of the far faces move with those of the near ones, and with the reference nodes of these axes."""
    places = np.argwhere(np.ones(number.shape, dtype=bool))
    places = places[(places == shape).any(axis=1)]
    for place in places:
        near = place % shape
        axes = [references[axis] for axis in range(3) if place[axis] == shape[axis]]
        nodes = [int(number[tuple(place)]), int(number[tuple(near)]), *axes]
        for direction in (1, 2, 3):
            terms = [f"{node}, {direction}, {1.0 if term == 0 else -1.0}" for term, node in enumerate(nodes)]
            yield "*EQUATION"
            yield str(len(terms))
            for start in range(0, len(terms), 4):
                yield ", ".join(terms[start : start + 4])
