// Tools of a gallery: look, phase, camera and clip plane, and the axes that turn with the volumes.

class Toolbar {
  constructor(parent, gallery) {
    this.root = make("div", "toolbar", parent);
    const skip = makeButton("Skip the volumes", "", this.root);
    skip.className = "skip";
    skip.onclick = () => gallery.end.focus();
    const look = make("div", "group", this.root);
    look.setAttribute("role", "group");
    look.setAttribute("aria-label", "Look");
    this.looks = [false, true].map((voxels) => {
      const button = makeButton(voxels ? "Voxels" : "Smooth", "", look);
      button.onclick = () => gallery.setView({ voxels });
      return button;
    });
    const shown = make("div", "group", this.root);
    shown.setAttribute("role", "group");
    shown.setAttribute("aria-label", "What is shown");
    this.switches = [
      ["soft", "Soft phase", "Show the soft phase in place of the stiff one"],
      ["tiled", "2×2×2", "Repeat the cell twice along each axis: it is periodic"],
    ].map(([name, label, title]) => {
      const button = makeButton(label, title, shown);
      button.onclick = () => gallery.setView({ [name]: !gallery.view[name] });
      return { name, button };
    });
    const camera = make("div", "group", this.root);
    camera.setAttribute("role", "group");
    camera.setAttribute("aria-label", "Camera");
    makeButton("−", "Zoom out", camera).onclick = () => gallery.setView({ zoom: gallery.view.zoom / 1.2 });
    makeButton("+", "Zoom in", camera).onclick = () => gallery.setView({ zoom: gallery.view.zoom * 1.2 });
    makeButton("Reset", "Reset the view (double click)", camera).onclick = () => gallery.setView(HOME);
    const clip = make("div", "group", this.root);
    clip.setAttribute("role", "group");
    clip.setAttribute("aria-label", "Clip plane");
    make("span", "label", clip).textContent = "Clip";
    this.axes = [-1, 0, 1, 2].map((axis) => {
      const button = makeButton(axis < 0 ? "off" : "xyz"[axis], axis < 0 ? "No clip plane" : `Cut normal to ${"xyz"[axis]}`, clip);
      button.onclick = () => gallery.setView({ axis });
      return button;
    });
    this.slider = make("input", "slider", clip);
    Object.assign(this.slider, { type: "range", min: 0.02, max: 1, step: 0.01 });
    this.slider.setAttribute("aria-label", "Position of the clip plane");
    this.slider.oninput = () => gallery.setView({ cut: Number(this.slider.value) }, true);
    this.slider.onchange = () => gallery.invalidate();
    make("span", "hint", this.root).textContent = "drag to turn, Ctrl + scroll to zoom";
    this.gizmo = makeGizmo(this.root);
  }

  show(view) {
    this.looks.forEach((button, i) => button.setAttribute("aria-pressed", String(view.voxels === Boolean(i))));
    this.axes.forEach((button, i) => button.setAttribute("aria-pressed", String(view.axis === i - 1)));
    for (const { name, button } of this.switches) button.setAttribute("aria-pressed", String(view[name]));
    this.slider.hidden = view.axis < 0;
    this.slider.value = view.cut;
    const { basis } = cameraOf(view, [1, 1, 1]);
    this.gizmo.forEach(({ line, text }, axis) => {
      const x = 22 + 14 * basis[axis];
      const y = 22 - 14 * basis[3 + axis];
      line.setAttribute("x2", x);
      line.setAttribute("y2", y);
      text.setAttribute("x", 22 + 19 * basis[axis]);
      text.setAttribute("y", 22 - 19 * basis[3 + axis] + 3);
    });
  }
}
