"""One volume as a pyvista scene in a file of its own; run as a process, which may die of missing graphics.

`python -m pages.parts.common.views.scene_file BACKGROUND INK EDGE UNIT < volume.npy > scene.html`
"""

import sys
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; connect-src data: blob:"
)
"""Content security policy of the scene: it may load nothing but itself."""
LEVEL = 0.499
"""Level of the surface between soft (0) and stiff (1): layers of one voxel keep their thickness."""
_ICONS = "https://kitware.github.io/vtk-js/icon/"
"""Address at which the viewer would look for its icons."""


def scene_html(
    volume: NDArray[np.uint8], background: str, ink: str, edge: float = 1.0, unit: str = "voxel"
) -> str:
    """The stiff phase with the edges and axes of the cell, turned and zoomed in the browser.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        background: Colour behind the scene, as #rrggbb.
        ink: Colour of lines and letters.
        edge: Edge of a voxel in the unit of the axes.
        unit: Unit of the axes.
    """
    # On import it would fetch a renderer of its own from a server, in vain: this one does without.
    sys.modules["trame_vtklocal"] = None  # type: ignore[assignment]
    import pyvista as pv

    shape = volume.shape
    grid: Any = pv.ImageData(dimensions=tuple(length + 1 for length in shape))
    grid.point_data["phase"] = _corners(volume).ravel(order="F")
    inside = grid.contour([LEVEL], scalars="phase", method="flying_edges")
    cut = grid.extract_surface(algorithm="dataset_surface").clip_scalar(
        scalars="phase", value=LEVEL, invert=False
    )
    plotter: Any = pv.Plotter(off_screen=True, window_size=[1100, 640], lighting=None)
    plotter.add_light(pv.Light(light_type="headlight", intensity=0.9))
    plotter.set_background(background)
    for mesh, color in ((inside, "#c3cad4"), (cut, "#5b8fd9")):
        if mesh.n_points:
            mesh.clear_data()
            plotter.add_mesh(mesh, color=color, smooth_shading=mesh is inside, ambient=0.3, diffuse=0.75)
    bounds = [end for length in shape for end in (0.0, float(length))]
    ends = [edge * end for end in bounds]
    plotter.add_mesh(pv.Box(bounds), style="wireframe", color=ink, line_width=2)
    titles: dict[str, Any] = {f"{axis}title": f"{axis} [{unit}]" for axis in "xyz"}
    plotter.show_bounds(
        grid=False, location="outer", color=ink, font_family="arial", axes_ranges=ends, **titles
    )
    plotter.view_vector((1.0, -1.5, 0.9))
    page = plotter.trame.export_html(None).read().replace(_ICONS, "data:,")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return page.replace("<head>", f"<head>\n{policy}", 1)


def _corners(volume: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean of the eight voxels around each corner of the periodic cell, shape (X + 1, Y + 1, Z + 1)."""
    field = np.pad(volume.astype(np.float32), 1, mode="wrap")
    for axis in range(3):
        field = 0.5 * (np.delete(field, 0, axis) + np.delete(field, -1, axis))
    return field


def main() -> None:
    """Write the scene of the volume in standard input to standard output; libraries print to stderr."""
    output, sys.stdout = sys.stdout.buffer, sys.stderr
    volume = np.load(BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    background, ink, edge, unit = sys.argv[1:5]
    output.write(scene_html(volume, background, ink, float(edge), unit).encode("utf-8"))


if __name__ == "__main__":
    main()
