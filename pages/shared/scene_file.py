"""One volume as a pyvista scene in a file of its own; run as a process, which may die of missing graphics.

`python -m pages.shared.scene_file BACKGROUND INK < volume.npy > scene.html`
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
"""What the scene may load: nothing but itself. Its viewer names a server for its icon."""


def scene_html(volume: NDArray[np.uint8], background: str, ink: str) -> str:
    """The stiff phase with the edges and axes of the cell, turned and zoomed in the browser.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        background: Colour behind the scene, as #rrggbb.
        ink: Colour of lines and letters.
    """
    # On import it would fetch a renderer of its own from a server, in vain: this one does without.
    sys.modules["trame_vtklocal"] = None  # type: ignore[assignment]
    import pyvista as pv

    shape = volume.shape
    grid: Any = pv.ImageData(dimensions=tuple(length + 2 for length in shape), origin=(-0.5,) * 3)
    grid.point_data["phase"] = np.pad(volume, 1).ravel(order="F").astype(np.float32)
    surface = grid.contour([0.5], scalars="phase", method="flying_edges")
    plotter: Any = pv.Plotter(off_screen=True, window_size=[1100, 640])
    plotter.set_background(background)
    if surface.n_points:
        plotter.add_mesh(surface, color="#5b8fd9", smooth_shading=True, split_sharp_edges=True, specular=0.2)
    bounds = [end for length in shape for end in (0.0, float(length))]
    plotter.add_mesh(pv.Box(bounds), style="wireframe", color=ink, line_width=2)
    plotter.add_axes(color=ink)
    plotter.show_bounds(grid=False, location="outer", color=ink, xtitle="x [voxel]", ytitle="y", ztitle="z")
    plotter.camera_position = "iso"
    page = plotter.trame.export_html(None).read()
    return page.replace(
        "<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1
    )


def main() -> None:
    """From standard input to standard output; what libraries say goes to the errors."""
    output, sys.stdout = sys.stdout.buffer, sys.stderr
    volume = np.load(BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    output.write(scene_html(volume, *sys.argv[1:3]).encode("utf-8"))


if __name__ == "__main__":
    main()
