// The linked 3D gallery: one WebGL2 canvas behind which the page lays out one card per volume. Each panel is a
// ray-marched 3D texture; all panels share one camera. Nothing is drawn unless something changed.
//
// Text from Python enters the page through textContent only.

const HEADING = 132; // [px] a row's heading beside it
const CARD = 216; // [px] the narrowest card, and the gap to the next
const WIDE_CARD = 338; // [px] a card with its figures beside the volume, and the gap to the next
const COARSE = 0.5;
const FINE = 2;
const BUDGET = 120; // [ms] of drawing between two frames: each frame costs a copy of the whole canvas
const FRAME = 45; // [ms] that a frame may take while the camera moves
const LATER = 200; // [ms] after which smooth edges are tried again, while a slider moves

// Camera, look and clip plane by view name: they outlive the component, so that a page change keeps them.
const views = new Map();
const galleries = new WeakMap();

export default function (component) {
  const { parentElement, data, setStateValue, setTriggerValue } = component;
  let gallery = galleries.get(parentElement);
  if (!gallery) {
    gallery = new Gallery(parentElement);
    galleries.set(parentElement, gallery);
  }
  gallery.select = (index) => setStateValue("selected", { set: gallery.data.set, index });
  gallery.pin = (index) => setTriggerValue("pin", { set: gallery.data.set, index });
  gallery.update(data);
  return () => {
    gallery.dispose();
    galleries.delete(parentElement);
  };
}

class Gallery {
  constructor(parent) {
    this.panels = [];
    this.cost = 60; // [ms] per million pixels, measured as it goes
    this.dragScale = 0.5;
    this.version = 0;
    this.busy = false;
    this.root = make("section", "gallery");
    this.toolbar = make("div", "toolbar", this.root);
    this.notice = make("div", "notice", this.root);
    this.stage = make("div", "stage", this.root);
    this.rows = make("div", "rows", this.stage);
    this.canvas = make("canvas", "canvas", this.stage);
    this.canvas.setAttribute("aria-hidden", "true");
    this.end = make("span", "end", this.root);
    this.end.tabIndex = -1;
    parent.append(this.root);
    this.renderer = Renderer.create(this.canvas);
    this.visible = new IntersectionObserver((entries) => this.onVisible(entries), { rootMargin: "160px" });
    this.resized = new ResizeObserver(() => this.resize());
    this.listen();
    this.density = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    this.density.onchange = () => this.resize();
  }

  dispose() {
    this.version += 1;
    this.visible.disconnect();
    this.resized.disconnect();
    this.density.onchange = null;
    document.removeEventListener("fullscreenchange", this.leave);
    this.renderer?.dispose();
    this.root.remove();
  }

  update(data) {
    const former = this.data;
    this.data = data;
    this.view = views.get(data.view) ?? { ...HOME, voxels: false, soft: false, tiled: false, axis: -1, cut: 0.5 };
    views.set(data.view, this.view);
    if (!former) this.buildToolbar();
    this.notice.textContent = this.renderer
      ? data.notice ?? ""
      : "The 3D view needs WebGL 2, which this browser does not offer. All figures are in the table.";
    this.notice.hidden = !this.notice.textContent;
    this.root.dataset.set = data.set;
    this.root.dataset.stage = data.stage;
    this.root.classList.toggle("stale", Boolean(data.notice));
    this.root.classList.toggle("single", !data.rows[0].title && data.rows[0].panels.length === 1);
    const layout = JSON.stringify([data.set, data.rows, data.shapes, Boolean(data.pinned)]);
    if (layout !== this.layout) {
      this.layout = layout;
      this.buildPanels();
    }
    this.panels.forEach((panel, index) => this.caption(panel, data.panels[index]));
    this.mark();
    const colors = this.readColors();
    const look = JSON.stringify(colors);
    if (look !== this.look) {
      this.look = look;
      this.colors = colors;
      this.invalidate();
    }
  }

  // --- what the page shows beside the canvas -------------------------------------------------------------------

  buildToolbar() {
    const skip = makeButton("Skip the volumes", "", this.toolbar);
    skip.className = "skip";
    skip.onclick = () => this.end.focus();
    const look = make("div", "group", this.toolbar);
    look.setAttribute("role", "group");
    look.setAttribute("aria-label", "Look");
    this.looks = [false, true].map((voxels) => {
      const button = makeButton(voxels ? "Voxels" : "Smooth", "", look);
      button.onclick = () => this.setView({ voxels });
      return button;
    });
    const shown = make("div", "group", this.toolbar);
    shown.setAttribute("role", "group");
    shown.setAttribute("aria-label", "What is shown");
    this.switches = [
      ["soft", "Soft phase", "Show the soft phase in place of the stiff one"],
      ["tiled", "2×2×2", "Repeat the cell twice along each axis: it is periodic"],
    ].map(([name, label, title]) => {
      const button = makeButton(label, title, shown);
      button.onclick = () => this.setView({ [name]: !this.view[name] });
      return { name, button };
    });
    const camera = make("div", "group", this.toolbar);
    camera.setAttribute("role", "group");
    camera.setAttribute("aria-label", "Camera");
    makeButton("−", "Zoom out", camera).onclick = () => this.setView({ zoom: this.view.zoom / 1.2 });
    makeButton("+", "Zoom in", camera).onclick = () => this.setView({ zoom: this.view.zoom * 1.2 });
    makeButton("Reset", "Reset the view (double click)", camera).onclick = () => this.setView(HOME);
    const clip = make("div", "group", this.toolbar);
    clip.setAttribute("role", "group");
    clip.setAttribute("aria-label", "Clip plane");
    make("span", "label", clip).textContent = "Clip";
    this.axes = [-1, 0, 1, 2].map((axis) => {
      const button = makeButton(axis < 0 ? "off" : "xyz"[axis], axis < 0 ? "No clip plane" : `Cut normal to ${"xyz"[axis]}`, clip);
      button.onclick = () => this.setView({ axis });
      return button;
    });
    this.slider = make("input", "slider", clip);
    Object.assign(this.slider, { type: "range", min: 0.02, max: 1, step: 0.01 });
    this.slider.setAttribute("aria-label", "Position of the clip plane");
    this.slider.oninput = () => this.setView({ cut: Number(this.slider.value) }, true);
    this.slider.onchange = () => this.invalidate();
    make("span", "hint", this.toolbar).textContent = "drag to turn, Ctrl + scroll to zoom";
    this.gizmo = makeGizmo(this.toolbar);
    this.showView();
  }

  setView(change, interactive = false) {
    Object.assign(this.view, change);
    this.view.pitch = clamp(this.view.pitch, -1.5, 1.5);
    this.view.zoom = clamp(this.view.zoom, 0.5, 8);
    this.showView();
    this.invalidate(interactive);
  }

  showView() {
    this.looks.forEach((button, i) => button.setAttribute("aria-pressed", String(this.view.voxels === Boolean(i))));
    this.axes.forEach((button, i) => button.setAttribute("aria-pressed", String(this.view.axis === i - 1)));
    for (const { name, button } of this.switches) button.setAttribute("aria-pressed", String(this.view[name]));
    this.slider.hidden = this.view.axis < 0;
    this.slider.value = this.view.cut;
    const { basis } = cameraOf(this.view, [1, 1, 1]);
    this.gizmo.forEach(({ line, text }, axis) => {
      const x = 22 + 14 * basis[axis];
      const y = 22 - 14 * basis[3 + axis];
      line.setAttribute("x2", x);
      line.setAttribute("y2", y);
      text.setAttribute("x", 22 + 19 * basis[axis]);
      text.setAttribute("y", 22 - 19 * basis[3 + axis] + 3);
    });
  }

  buildPanels() {
    this.visible.disconnect();
    this.renderer?.forget();
    if (this.enlarged) this.enlarge(null);
    this.rows.replaceChildren();
    this.root.removeAttribute("data-drawn");
    const volumes = decodeVolumes(this.data.volumes, this.data.shapes);
    const marks = this.data.marks ? decodeVolumes(this.data.marks, this.data.shapes) : [];
    this.panels = [];
    this.places = "";
    this.resized.disconnect();
    this.resized.observe(this.stage);
    for (const row of this.data.rows) {
      const section = make("div", "row", this.rows);
      if (row.title) {
        const head = make("div", "head", section);
        head.style.setProperty("--tint", row.color);
        make("span", "dot", head);
        make("span", "title", head).textContent = row.title;
        if (row.weight !== null) {
          const bar = make("span", "bar", head);
          make("span", "fill", bar).style.width = `${100 * clamp(row.weight, 0, 1)}%`;
        }
        if (row.picture) Object.assign(make("img", "picture", head), { src: row.picture, alt: "" });
        make("span", "note", head).textContent = row.note;
        if (row.character) make("span", "character", head).textContent = row.character;
      }
      const cards = make("div", "cards", section);
      for (const index of row.panels) {
        const card = make("article", "card", cards);
        card.tabIndex = 0;
        card.setAttribute("role", "group"); // it has buttons of its own
        card.dataset.index = index;
        const panel = { index, card, view: make("div", "view", card), bits: volumes[index], marks: marks[index], quality: 0 };
        panel.shape = this.data.shapes[index];
        panel.color = row.color;
        const tag = make("div", "tag", card);
        panel.title = make("span", "name", tag);
        panel.badge = make("span", "badge", tag);
        this.cardButtons(panel, tag);
        panel.figures = make("table", "figures", card);
        this.panels[index] = panel;
        this.visible.observe(panel.view);
        this.resized.observe(panel.view); // its captions may leave it another width
      }
    }
    this.resize();
  }

  cardButtons(panel, tag) {
    const buttons = make("span", "buttons", tag);
    panel.enlarge = makeButton("⤢", "", buttons);
    panel.enlarge.onclick = () => this.enlarge(this.enlarged === panel ? null : panel);
    if (!this.data.pinned) return;
    panel.pin = makeButton("☆", "", buttons);
    panel.pin.onclick = () => {
      const index = this.data.pinned.indexOf(panel.index);
      if (index < 0) this.data.pinned.push(panel.index);
      else this.data.pinned.splice(index, 1);
      this.mark(); // shown at once; Python answers with what is put aside
      this.pin(panel.index);
    };
  }

  // One panel alone over the whole screen, or over the page where the browser allows no more; Escape leaves it.
  enlarge(panel) {
    const former = this.enlarged;
    if (former === panel) return;
    this.enlarged = panel;
    former?.card.classList.remove("enlarged");
    panel?.card.classList.add("enlarged");
    this.root.classList.toggle("alone", Boolean(panel));
    if (panel) this.root.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    (panel ?? former).enlarge.focus();
    this.mark();
    this.resize();
  }

  caption(panel, text) {
    const key = JSON.stringify(text);
    if (key === panel.text) return;
    panel.text = key;
    panel.title.textContent = text.title;
    panel.badge.textContent = text.badge;
    panel.badge.hidden = !text.badge;
    panel.card.setAttribute("aria-label", `${text.title} ${text.badge}`);
    panel.figures.hidden = !text.lines.length;
    panel.figures.replaceChildren();
    if (!text.lines.length) return;
    const kinds = text.kinds;
    panel.figures.classList.toggle("pending", text.pending);
    const head = make("tr", "", make("thead", "", panel.figures));
    make("th", "", head).textContent = kinds.length ? text.head : this.data.unit;
    text.columns.forEach((column, index) => (make("th", kinds[index] ?? "", head).textContent = column));
    const body = make("tbody", "", panel.figures);
    for (const line of text.lines) {
      const row = make("tr", line.kind, body);
      make("th", "", row).textContent = line.label;
      line.values.forEach((value, index) => (make("td", kinds[index] ?? "", row).textContent = value));
    }
    if (!text.marks.length) return;
    const cell = make("td", "marks", make("tr", "", make("tfoot", "", panel.figures)));
    cell.colSpan = text.columns.length + 1;
    for (const mark of text.marks) {
      make("span", mark.met ? "met" : "unmet", cell).textContent = `${mark.met ? "✓" : "✗ not met:"} ${mark.text}`;
    }
  }

  mark() {
    for (const panel of this.panels) {
      const chosen = panel.index === this.data.selected;
      panel.card.classList.toggle("selected", chosen);
      panel.card.setAttribute("aria-current", String(chosen));
      const alone = panel === this.enlarged;
      const name = panel.title.textContent || "the volume";
      setLabel(panel.enlarge, alone ? "✕" : "⤢", alone ? "Back to all (Escape)" : `Full screen of ${name}`);
      if (!panel.pin) continue;
      const pinned = this.data.pinned?.includes(panel.index);
      setLabel(panel.pin, pinned ? "★" : "☆", pinned ? `Take ${name} out of the shortlist` : `Add ${name} to the shortlist`);
      panel.pin.setAttribute("aria-pressed", String(Boolean(pinned)));
    }
  }

  readColors() {
    const style = getComputedStyle(this.root);
    const background = parseColor(style.getPropertyValue("--st-background-color"), [1, 1, 1]);
    const dark = background[0] + background[1] + background[2] < 1.5;
    this.root.classList.toggle("dark", dark);
    this.root.style.colorScheme = dark ? "dark" : "light";
    return dark
      ? { dark, stiff: [0.7, 0.75, 0.8], shade: [0.16, 0.2, 0.28], line: [0.62, 0.7, 0.78], accent: [0.95, 0.55, 0.2], mix: 0.62 }
      : { dark, stiff: [0.8, 0.84, 0.88], shade: [0.26, 0.32, 0.43], line: [0.3, 0.37, 0.45], accent: [0.9, 0.45, 0.1], mix: 0.6 };
  }

  // --- pointer, wheel and keys ---------------------------------------------------------------------------------

  listen() {
    let drag = null;
    this.rows.addEventListener("pointerdown", (event) => {
      const card = event.target.closest(".card");
      if (!card || event.button !== 0 || event.target.closest("button")) return;
      drag = { card, x: event.clientX, y: event.clientY, moved: false, id: event.pointerId };
    });
    this.rows.addEventListener("pointermove", (event) => {
      if (!drag || event.pointerId !== drag.id) return;
      const dx = event.clientX - drag.x;
      const dy = event.clientY - drag.y;
      if (!drag.moved) {
        if (Math.hypot(dx, dy) < 4) return;
        drag.moved = true;
        this.rows.setPointerCapture(drag.id);
        this.root.classList.add("turning");
      }
      Object.assign(drag, { x: event.clientX, y: event.clientY });
      this.setView({ yaw: this.view.yaw - dx * 0.009, pitch: this.view.pitch + dy * 0.009 }, true);
    });
    const release = (event) => {
      if (!drag || event.pointerId !== drag.id) return;
      const { card, moved } = drag;
      drag = null;
      this.root.classList.remove("turning");
      if (moved) this.invalidate();
      else if (event.type === "pointerup") this.choose(Number(card.dataset.index));
    };
    this.rows.addEventListener("pointerup", release);
    this.rows.addEventListener("pointercancel", release);
    this.rows.addEventListener("dblclick", (event) => {
      if (!event.target.closest("button")) this.setView(HOME);
    });
    this.leave = () => {
      if (!document.fullscreenElement) this.enlarge(null);
    };
    document.addEventListener("fullscreenchange", this.leave);
    // A plain wheel scrolls the page: a gallery that fills the window must not swallow it.
    this.rows.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.setView({ zoom: this.view.zoom * Math.exp(-event.deltaY * 0.002) }, true);
        clearTimeout(this.settle);
        this.settle = setTimeout(() => this.invalidate(), 160);
      },
      { passive: false },
    );
    this.rows.addEventListener("keydown", (event) => {
      const card = event.target.closest("button") ? null : event.target.closest(".card");
      const turn = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.12], ArrowDown: [0, -0.12] }[event.key];
      if (card && (event.key === "Enter" || event.key === " ")) this.choose(Number(card.dataset.index));
      else if (event.key === "Escape" && this.enlarged) this.enlarge(null);
      else if (turn) this.setView({ yaw: this.view.yaw + turn[0], pitch: this.view.pitch + turn[1] });
      else if (event.key === "+" || event.key === "-") this.setView({ zoom: this.view.zoom * (event.key === "+" ? 1.2 : 1 / 1.2) });
      else return;
      event.preventDefault();
    });
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.renderer = Renderer.create(this.canvas);
      this.resize();
      this.invalidate();
    });
  }

  choose(index) {
    if (this.data.panels.length < 2 || index === this.data.selected) return;
    this.data.selected = index; // shown at once; Python answers with the details
    this.mark();
    this.select(index);
  }

  // --- drawing on demand ---------------------------------------------------------------------------------------

  onVisible(entries) {
    for (const entry of entries) {
      const panel = this.panels.find(({ view }) => view === entry.target);
      if (panel) panel.shown = entry.isIntersecting;
    }
    this.draw();
  }

  // As many cards beside each other as fill the lines evenly; where there is room, the figures stand beside the
  // volumes and the headings beside the rows, so that more designs are seen at once.
  arrange(width) {
    const { rows } = this.data;
    const longestRow = Math.max(...rows.map((row) => row.panels.length));
    const lines = Math.ceil(longestRow / Math.max(1, Math.floor((width + 10) / CARD)));
    const columns = Math.ceil(longestRow / lines);
    const wide = Boolean(rows[0].title) && columns * WIDE_CARD <= width;
    this.root.classList.toggle("wide", wide);
    this.root.classList.toggle("aside", wide && columns * WIDE_CARD + HEADING <= width);
    this.rows.style.setProperty("--columns", columns);
    if (wide) this.rows.style.setProperty("--view-height", `${clamp(620 / (rows.length * lines), 164, 300)}px`);
    else this.rows.style.removeProperty("--view-height");
  }

  resize() {
    if (!this.renderer) return;
    this.arrange(this.stage.clientWidth);
    const stage = this.stage.getBoundingClientRect();
    if (!stage.width || !stage.height) return;
    const limit = Math.min(8192 / stage.width, 8192 / stage.height, Math.sqrt(1.6e7 / (stage.width * stage.height)));
    const scale = Math.min(devicePixelRatio, limit);
    const size = [stage.width, stage.height].map((edge) => Math.round(edge * scale));
    const boxes = this.panels.map(({ view }) => {
      const box = view.getBoundingClientRect();
      return [box.left - stage.left, box.top - stage.top, box.width, box.height].map((edge) => Math.round(edge * scale));
    });
    const places = JSON.stringify([size, boxes]);
    if (places === this.places) return; // what is drawn is in place
    this.places = places;
    this.renderer.resize(...size);
    this.panels.forEach((panel, index) => {
      [panel.x, panel.y, panel.width, panel.height] = boxes[index];
      panel.drawn = false;
    });
    this.invalidate();
  }

  invalidate(moving = false) {
    this.moving = moving;
    this.version += 1;
    for (const panel of this.panels) panel.quality = 0;
    this.root.dataset.state = "drawing";
    this.draw();
  }

  async draw() {
    if (this.busy || !this.renderer) return;
    this.busy = true;
    // Let every change of this turn of the event loop arrive before the first pixel is drawn.
    await nextFrame();
    while (this.renderer && !this.renderer.lost()) {
      const batch = this.nextBatch();
      if (!batch) break;
      if (batch.scale === FINE && globalThis.vaeregLive?.isMoving()) {
        setTimeout(() => this.draw(), LATER); // previews come first
        break;
      }
      const { panels, scale } = batch;
      const { version } = this;
      const begin = performance.now();
      for (const panel of panels) {
        this.renderer.draw(panel, scale, this.view, this.tint(panel));
        panel.quality = scale;
        panel.drawn = true;
      }
      await this.renderer.finished();
      const elapsed = performance.now() - begin;
      const pixels = panels.reduce((sum, { width, height }) => sum + width * height * scale * scale, 0) / 1e6;
      this.cost = 0.5 * this.cost + 0.5 * (elapsed / Math.max(pixels, 1e-3));
      if (this.moving) this.dragScale = clamp(this.dragScale * Math.sqrt(FRAME / elapsed), 0.3, 1);
      if (version === this.version) this.announce();
      else await nextFrame();
    }
    if (this.renderer && !this.renderer.lost()) this.announce(); // what was waited for may be out of sight now
    this.busy = false;
  }

  // The next panels to draw and at what resolution: coarse while the camera moves or where nothing is to be seen
  // yet, then in full, then once more with four samples a pixel.
  nextBatch() {
    const shown = this.panels.filter((panel) => panel.shown && panel.width > 0);
    if (this.moving) {
      const panels = shown.filter(({ quality }) => quality === 0);
      return panels.length ? { panels, scale: this.dragScale } : null;
    }
    const area = shown.reduce((sum, { width, height }) => sum + width * height, 0) / 1e6;
    const slow = area * this.cost > 500;
    const scales = [...(slow ? [COARSE] : []), 1, ...(this.data.stage ? [] : [FINE])];
    for (const scale of scales) {
      const waiting = shown.filter(({ quality, drawn }) => quality < scale && !(scale === COARSE && drawn && quality > 0));
      if (!waiting.length) continue;
      const panels = [];
      const least = scale > 1 ? 1 : Math.ceil(shown.length / 3);
      let expected = 0;
      for (const panel of waiting) {
        expected += ((panel.width * panel.height * scale * scale) / 1e6) * this.cost;
        if (panels.length >= least && expected > BUDGET) break;
        panels.push(panel);
      }
      return { panels, scale };
    }
    return null;
  }

  announce() {
    if (this.moving) return;
    const shown = this.panels.filter((panel) => panel.shown);
    if (!shown.length || shown.some(({ quality }) => quality < 1)) return;
    if (this.root.dataset.drawn !== this.data.set) document.dispatchEvent(new CustomEvent("vaereg-drawn"));
    this.root.dataset.drawn = this.data.set;
    this.root.dataset.state = shown.every(({ quality }) => quality >= FINE) ? "refined" : "drawn";
  }

  tint(panel) {
    const { stiff, mix } = this.colors;
    const own = parseColor(panel.color, stiff);
    return { ...this.colors, cut: stiff.map((value, i) => value + (own[i] - value) * mix) };
  }
}
