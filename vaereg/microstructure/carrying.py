"""Which strains a solid in a void resists: exact, from its voxels alone.

A strain meets no stress if all pieces of the solid can follow it as rigid bodies. Voxels that share a face
are one piece; pieces touch at edges (hinges) and corners (ball joints), and, across the faces of the cell,
copies of pieces in other cells. The copy of piece C that is moved by a cells is displaced by
u(x) = t_C + s_C x (x - a) + E a at a macroscopic strain E; all copies that share a node move alike there.

Letters: X Y Z voxels, C pieces, J joints.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from vaereg.elasticity import MANDEL_FACTORS, VOIGT_PAIRS, mandel_to_voigt, voigt_to_mandel

__all__ = ["carried_part", "carried_strains"]

_MOST_PIECES = 48
"""Pieces that are looked at as bodies of their own; of more, those that touch count as one."""
_RANK = 1e-9
"""Singular value over the largest [-], below which it counts as none."""
_CORNERS = tuple(product((0, 1), repeat=3))
"""Voxels around a node, by their steps back along the axes."""


def carried_strains(solid: ArrayLike) -> NDArray[np.float64] | None:
    """Projection on the strains that a periodic solid in a void resists.

    Args:
        solid: Whether each voxel is solid, shape (X, Y, Z).

    Returns:
        Shape (6, 6), for Mandel vectors; None where every strain is resisted.
    """
    mask = np.asarray(solid, dtype=bool)
    if not mask.any():
        return np.zeros((6, 6))
    labels, shape = _labelled(mask, 1), np.array(mask.shape, dtype=np.float64)
    if _is_joined_throughout(labels):
        return None
    joints = _without_dangling(_joints(labels))
    if len(np.unique([joints["first"], joints["second"]])) > _MOST_PIECES:
        joints = _joints(_labelled(mask, 3))
    free = _free_strains(_few_of_each(joints), shape)
    return None if free.shape[1] == 0 else np.eye(6) - free @ free.T


def carried_part(stiffness: NDArray[np.float64], carried: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """An estimate of a stiffness, shape (6, 6), without what it says of strains that meet no stress.

    Args:
        stiffness: Voigt order [GPa].
        carried: What `carried_strains` says of the solid.
    """
    return stiffness if carried is None else mandel_to_voigt(carried @ voigt_to_mandel(stiffness) @ carried)


_JOINT = np.dtype([("first", "i4"), ("second", "i4"), ("moved", "i4", 3), ("node", "i4", 3)])
"""Pieces that share a node, the cells by which the copy of the second is moved from that of the first, and
the node [voxel], in the cell of the first."""


def _labelled(mask: NDArray[np.bool_], neighbours: int) -> NDArray[np.int64]:
    """Number of the piece of each voxel, from 1; 0 outside. Pieces end at the faces of the cell."""
    structure = ndimage.generate_binary_structure(3, neighbours)
    # SciPy's annotations know the number alone as well, which comes where `output` is given
    labelled: tuple[NDArray[np.int32], int] = ndimage.label(mask, structure)  # pyright: ignore[reportAssignmentType]
    return labelled[0].astype(np.int64)


def _is_joined_throughout(labels: NDArray[np.int64]) -> bool:
    """Whether one piece shares faces with its own copies along all three axes."""
    common: set[int] | None = None
    for axis in range(3):
        first, last = np.take(labels, [0, -1], axis).swapaxes(0, axis)
        joined = set(np.unique(first[first == last]).tolist()) - {0}
        common = joined if common is None else common & joined
    return bool(common)


def _joints(labels: NDArray[np.int64]) -> NDArray:
    """Nodes at which copies of pieces touch, shape (J,)."""
    bodies = np.empty((8, *labels.shape), dtype=np.int64)
    for place, corner in enumerate(_CORNERS):
        code = 8 * labels
        for axis, step in enumerate(corner):
            if step:  # the first node of an axis has the last voxel of the cell before it
                code = np.roll(code, 1, axis)
                ahead = np.moveaxis(code, axis, 0)
                ahead[0] = np.where(ahead[0] > 0, ahead[0] + (1 << axis), 0)
        bodies[place] = code
    most = bodies.max(axis=0)
    least = np.where(bodies > 0, bodies, most).min(axis=0)
    meets = np.asarray(least < most)
    nodes = np.argwhere(meets)
    around = np.sort(bodies[:, meets].T, axis=1)
    first = np.repeat(around[:, -1], 7)
    second, nodes = around[:, :-1].ravel(), np.repeat(nodes, 7, axis=0)
    kept = (second > 0) & (second != first)
    first, second, nodes = first[kept], second[kept], nodes[kept]
    joints = np.zeros(len(first), dtype=_JOINT)
    joints["first"], joints["second"] = first // 8, second // 8
    cells = [-((codes[:, None] >> np.arange(3)) & 1) for codes in (first, second)]
    joints["moved"] = cells[1] - cells[0]
    joints["node"] = nodes - cells[0] * np.array(labels.shape)
    return joints


def _link(piece: NDArray, other: NDArray, moved: NDArray) -> NDArray[np.int64]:
    """One number for a piece, another one and how far its copy is moved, shape (J,)."""
    steps = (moved.astype(np.int64) + 1) @ np.array([9, 3, 1])
    return (piece.astype(np.int64) << 37) + (other.astype(np.int64) << 5) + steps


def _few_of_each(joints: NDArray) -> NDArray:
    """Joints with at most four nodes of the same two copies: nodes that span all of theirs."""
    keys = _link(joints["first"], joints["second"], joints["moved"])
    _, group = np.unique(keys, return_inverse=True)
    chosen: list[int] = []
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if not len(rows):
            continue
        offsets = joints["node"][rows] - joints["node"][rows[0]].astype(np.float64)
        chosen.append(int(rows[0]))
        for _ in range(3):
            lengths = np.linalg.norm(offsets, axis=1)
            far = int(lengths.argmax())
            if lengths[far] < 0.5:
                break
            chosen.append(int(rows[far]))
            along = offsets[far] / lengths[far]
            offsets = offsets - (offsets @ along)[:, None] * along
    return joints[np.array(chosen, dtype=np.intp)]


def _without_dangling(joints: NDArray) -> NDArray:
    """Joints but those of pieces that hang on a single copy of another one: they follow it, whatever it
    does.
    """
    while True:
        first, second, moved = joints["first"], joints["second"], joints["moved"]
        links = np.unique(np.concatenate([_link(first, second, moved), _link(second, first, -moved)]))
        pieces, counts = np.unique(links >> 37, return_counts=True)
        itself = first[first == second]
        dangling = np.setdiff1d(pieces[counts == 1], itself)
        # of two that hang on each other, both go
        kept = ~(np.isin(joints["first"], dangling) | np.isin(joints["second"], dangling))
        if kept.all():
            return joints
        joints = joints[kept]


def _free_strains(joints: NDArray, shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal basis of the Mandel strains that the pieces can follow, shape (6, number)."""
    pieces, places = np.unique([joints["first"], joints["second"]], return_inverse=True)
    places = places.reshape(2, -1)
    unit = shape.max()
    moved, node = joints["moved"] * shape / unit, joints["node"] / unit
    rows = np.zeros((len(joints), 3, 6 + 6 * len(pieces)))
    index = np.arange(len(joints))
    for sign, piece, arm in ((1.0, places[0], node), (-1.0, places[1], node - moved)):
        for axis in range(3):
            rows[index, axis, 6 + 6 * piece + axis] += sign
            ahead, behind = (axis + 1) % 3, (axis + 2) % 3  # the cross product of rotation and arm
            rows[index, axis, 9 + 6 * piece + ahead] += sign * arm[:, behind]
            rows[index, axis, 9 + 6 * piece + behind] -= sign * arm[:, ahead]
    for column, (i, j) in enumerate(VOIGT_PAIRS):
        rows[:, i, column] -= moved[:, j] / MANDEL_FACTORS[column]
        if i != j:
            rows[:, j, column] -= moved[:, i] / MANDEL_FACTORS[column]
    # the pieces take up what they can; what the joints still miss is up to the strain alone
    matrix = np.asarray(np.linalg.qr(rows.reshape(-1, rows.shape[2]), mode="r"))
    left, values, _ = np.linalg.svd(matrix[:, 6:])
    rank = int((values > _RANK * values.max(initial=0.0)).sum())
    _, values, axes = np.linalg.svd(left[:, rank:].T @ matrix[:, :6])
    return axes[int((values > _RANK).sum()) :].T
