// The linked 3D gallery: one WebGL2 canvas behind which the page lays out one card per volume; all panels share one
// camera. The other files of this folder and of assets/volumes come before.
//
// Text from Python enters the page through textContent only.

const HEADING = 132; // [px] a row's heading beside it
const CARD = 216; // [px] the narrowest card, and the gap to the next
const NARROW = 420; // [px] a gallery on a phone
const PLAIN_CARD = 160; // [px] the narrowest card on a phone, of three figures at most
const FIGURES = 216; // [px] the figures beside a volume
const FIGURES_BELOW = 70; // [px] the figures under a volume
const ROWS = 620; // [px] that all rows may take together: they fit a window
const WIDE_CARD = 338; // [px] a card with its figures beside the volume, and the gap to the next

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

class Gallery extends Drawing {
  constructor(parent) {
    super();
    this.root = make("section", "gallery");
    this.toolbar = new Toolbar(this.root, this);
    this.notice = make("div", "notice", this.root);
    this.stage = make("div", "stage", this.root);
    this.rows = make("div", "rows", this.stage);
    this.renderer = Renderer.take();
    this.canvas = this.renderer?.canvas ?? make("canvas");
    this.canvas.className = "canvas";
    this.canvas.setAttribute("aria-hidden", "true");
    this.stage.append(this.canvas);
    this.gone = new AbortController();
    this.end = make("span", "end", this.root);
    this.end.tabIndex = -1;
    parent.append(this.root);
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
    this.gone.abort();
    this.keepPicture();
    this.renderer?.retire();
    this.renderer = null;
    this.root.remove();
  }

  update(data) {
    const former = this.data;
    this.data = data;
    this.view = views.get(data.view) ?? { ...HOME, voxels: false, soft: false, tiled: false, axis: -1, cut: 0.5 };
    views.set(data.view, this.view);
    if (!former) this.toolbar.show(this.view);
    this.notice.textContent = this.renderer
      ? data.notice ?? ""
      : "The 3D view needs WebGL 2, which this browser does not offer. All figures are in the table.";
    this.notice.hidden = !this.notice.textContent;
    this.root.dataset.set = data.set;
    this.root.dataset.stage = data.stage;
    this.root.classList.toggle("stale", Boolean(data.notice));
    this.root.classList.toggle("single", !data.rows[0].title && data.rows[0].panels.length === 1);
    const dark = this.readGround();
    const layout = JSON.stringify([data.set, data.rows, data.shapes, data.marks, Boolean(data.pinned)]);
    const isSame = layout === this.layout;
    if (isSame && dark !== this.dark) this.invalidate();
    Object.assign(this, { dark, layout });
    if (!isSame) this.buildPanels();
    this.panels.forEach((panel, index) => fillCaption(panel, data.panels[index], data.unit));
    this.mark();
  }

  // --- what the page shows beside the canvas -------------------------------------------------------------------

  setView(change, interactive = false) {
    Object.assign(this.view, change);
    this.view.pitch = clamp(this.view.pitch, -1.5, 1.5);
    this.view.zoom = clamp(this.view.zoom, 0.5, 8);
    this.toolbar.show(this.view);
    this.invalidate(interactive);
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

  // Whether the page is dark; what is drawn and what is written follow it.
  readGround() {
    const dark = isDark(getComputedStyle(this.root).getPropertyValue("--st-background-color"));
    this.root.classList.toggle("dark", dark);
    this.root.style.colorScheme = dark ? "dark" : "light";
    return dark;
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
    const { signal } = this.gone;
    const leave = () => document.fullscreenElement || this.enlarge(null);
    document.addEventListener("fullscreenchange", leave, { signal });
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
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault(), { signal });
    const restore = () => {
      this.renderer = Renderer.create(this.canvas);
      this.resize();
      this.invalidate();
    };
    this.canvas.addEventListener("webglcontextrestored", restore, { signal });
  }

  choose(index) {
    if (this.data.panels.length < 2 || index === this.data.selected) return;
    this.data.selected = index; // shown at once; Python answers with the details
    this.mark();
    this.select(index);
  }

  // As many cards beside each other as fill the lines evenly; where there is room, the figures stand beside the
  // volumes and the headings beside the rows, so that more designs are seen at once.
  arrange(width) {
    const { rows } = this.data;
    const longestRow = Math.max(...rows.map((row) => row.panels.length));
    const isPlain = this.data.panels.every(({ kinds, columns }) => !kinds.length && columns.length < 4);
    const lines = Math.ceil(longestRow / Math.max(1, Math.floor((width + 10) / (isPlain && width < NARROW ? PLAIN_CARD : CARD))));
    const columns = Math.ceil(longestRow / lines);
    const titled = Boolean(rows[0].title);
    const height = ROWS / (rows.length * lines);
    const high = clamp(height, 164, 300);
    // Where few volumes have much room, figures under them leave the pictures more of it.
    const wide = titled && columns * WIDE_CARD <= width && width / columns - FIGURES > 0.65 * high;
    this.root.classList.toggle("small", width / columns < CARD - 20);
    this.root.classList.toggle("wide", wide);
    this.root.classList.toggle("aside", wide && columns * WIDE_CARD + HEADING <= width);
    this.rows.style.setProperty("--columns", columns);
    if (wide) this.rows.style.setProperty("--view-height", `${high}px`);
    else if (titled) this.rows.style.setProperty("--view-height", `${clamp(height - FIGURES_BELOW, 196, 300)}px`);
    else this.rows.style.removeProperty("--view-height");
  }


}
