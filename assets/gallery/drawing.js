// Drawing on demand: nothing is drawn unless something changed, what is seen first, coarse before fine.

const COARSE = 0.5;
const FINE = 2;
const BUDGET = 120; // [ms] of drawing between two frames: each frame costs a copy of the whole canvas
const FRAME = 45; // [ms] that a frame may take while the camera moves
const LATER = 200; // [ms] after which smooth edges are tried again, while a slider moves
const LARGEST_PICTURE = 4e6; // [px] of what is kept of a gallery that is gone

// What galleries that are gone showed, by view name: one that comes back the same shows it without drawing.
const pictures = new Map();

class Drawing {
  constructor() {
    this.panels = [];
    this.cost = 60; // [ms] per million pixels, measured as it goes
    this.dragScale = 0.5;
    this.version = 0;
    this.busy = false;
  }

  onVisible(entries) {
    for (const entry of entries) {
      const panel = this.panels.find(({ view }) => view === entry.target);
      if (panel) panel.shown = entry.isIntersecting;
    }
    this.draw();
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
    this.showPicture();
  }

  // All that decides what the canvas looks like.
  appearance() {
    return JSON.stringify([this.layout, this.places, this.view, this.dark]);
  }

  keepPicture() {
    const { width, height } = this.canvas;
    const isDone = this.root.dataset.state === "refined" && width * height <= LARGEST_PICTURE;
    if (!isDone || !this.renderer || this.renderer.lost()) return;
    const qualities = this.panels.map(({ quality }) => quality);
    pictures.set(this.data.view, { appearance: this.appearance(), qualities, ...this.renderer.picture() });
  }

  showPicture() {
    const kept = pictures.get(this.data.view);
    if (kept?.appearance !== this.appearance()) return;
    this.renderer.show(kept);
    this.panels.forEach((panel, index) => {
      panel.quality = kept.qualities[index];
      panel.drawn = panel.quality > 0;
    });
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
    return lookOf(this.dark, panel.color);
  }
}
