// The preview of a target over the page.

const LONGEST = 20000; // [ms] after a release at which a preview goes, whatever the page does
const FRAME = 22; // [ms] that a preview may take to be drawn
const VIEW = { ...HOME, voxels: false, soft: false, tiled: false, axis: -1, cut: 0.5 };
const GAP = 8; // [px] between two cards
const CARD = 86; // [px] the narrowest card
const SMALL_CARD = 54; // [px] the same over a page that is narrow
const NARROW = 760; // [px] width of a window whose sidebar covers the page

// One small volume a mode, over the page: it moves nothing. It goes when the page has its designs.
class Preview {
  constructor() {
    this.host = document.createElement("div");
    this.host.className = "vaereg-preview";
    const shadow = this.host.attachShadow({ mode: "open" });
    make("style", "", shadow).textContent = PREVIEW_STYLE;
    this.panel = make("section", "preview", shadow);
    this.panel.setAttribute("aria-label", "Preview");
    const bar = make("div", "bar", this.panel);
    make("strong", "", bar).textContent = "Preview";
    this.note = make("span", "note", bar);
    this.note.setAttribute("role", "status");
    this.stage = make("div", "stage", this.panel);
    this.room = make("div", "room", this.stage);
    this.room.setAttribute("aria-hidden", "true");
    this.plane = new Plane();
    this.table = make("div", "table", this.stage);
    this.canvas = make("canvas", "", this.table);
    this.canvas.setAttribute("aria-hidden", "true");
    this.cards = make("div", "cards", this.table);
    this.renderer = Renderer.create(this.canvas);
    this.scale = 1; // of what is drawn, in pixels of the screen
    this.warmUp();
    this.panel.classList.add("away");
    document.body.append(this.host);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
    document.addEventListener("vaereg-drawn", () => this.released && this.hide()); // by the gallery
  }

  // The graphics processor compiles a shader when it is first used.
  warmUp() {
    if (!this.renderer) return;
    this.renderer.resize(8, 8);
    const panel = { index: 0, shape: [2, 2, 2], x: 0, y: 0, width: 8, height: 8, bits: new Uint8Array([0b10010110]) };
    this.renderer.draw(panel, 1, VIEW, lookOf(this.dark, ""));
    this.renderer.gl.flush();
  }

  place() {
    const main = document.querySelector("[data-testid=stMain]")?.getBoundingClientRect();
    const header = document.querySelector("[data-testid=stHeader]")?.getBoundingClientRect();
    const low = window.innerWidth < NARROW || !main || main.width < NARROW / 2;
    this.panel.classList.toggle("low", low);
    if (low) {
      Object.assign(this.panel.style, { left: "0", top: "", width: "100%" });
      return;
    }
    const left = Math.max(main.left, 0) + 16;
    const top = Math.max(header?.bottom ?? 0, 56) + 8;
    Object.assign(this.panel.style, { left: `${left}px`, top: `${top}px`, width: `${window.innerWidth - left - 24}px` });
  }

  async show(head, bits, asked) {
    clearTimeout(this.leave);
    this.released = false;
    const style = getComputedStyle(asked.near);
    const colors = {};
    for (const name of ["background-color", "text-color", "border-color", "secondary-background-color"]) {
      colors[name] = style.getPropertyValue(`--st-${name}`).trim();
      this.panel.style.setProperty(`--${name}`, colors[name]);
    }
    this.dark = isDark(colors["background-color"]);
    this.panel.style.fontFamily = style.fontFamily;
    this.panel.classList.remove("away");
    this.place();
    write(this.note, "one structure a mode, with the values that are expected of it; full designs follow");
    this.fill(head, asked);
    this.plane.draw(head, { ...asked, roomy: !this.panel.classList.contains("low") }, this.room);
    this.arrange(head.cards.length);
    await this.draw(head, bits);
  }

  fill(head, { labels, units }) {
    while (this.cards.children.length > head.cards.length) this.cards.lastChild.remove();
    while (this.cards.children.length < head.cards.length) {
      const card = make("article", "card", this.cards);
      make("div", "view", card);
      make("div", "title", card);
      make("div", "figures", card);
    }
    const low = this.panel.classList.contains("low");
    head.cards.forEach((item, index) => {
      const card = this.cards.children[index];
      card.classList.toggle("far", !item.reached);
      card.style.setProperty("--tint", item.color);
      write(card.querySelector(".title"), item.title);
      const figures = head.names.filter((name) => name in labels).slice(0, 3).map((name, place) => {
        const value = item.values[place];
        const text = value === null ? "–" : String(Number(value.toPrecision(3)));
        return `${labels[name] ?? name} ${text}${units[name] ? ` ${units[name]}` : ""}`;
      });
      const off = item.off < 0.005 ? "on target" : item.off > 9.99 ? "far off" : `${(100 * item.off).toFixed(0)} % off`;
      const lines = low ? [off] : [item.reached ? off : `out of reach, ${off}`, ...figures];
      const texts = card.querySelector(".figures");
      while (texts.children.length > lines.length) texts.lastChild.remove();
      while (texts.children.length < lines.length) make("div", "", texts);
      lines.forEach((text, place) => write(texts.children[place], text));
    });
  }

  // As many cards beside each other as fill the lines evenly.
  arrange(count) {
    const card = this.panel.classList.contains("low") ? SMALL_CARD : CARD;
    const lines = Math.ceil((count * (card + GAP)) / (this.cards.clientWidth + GAP));
    this.cards.style.setProperty("--columns", Math.ceil(count / lines));
  }

  async draw(head, bits) {
    if (!this.renderer || this.renderer.lost()) return;
    const { edge } = head;
    const shape = [edge, edge, edge];
    const bytes = Math.ceil(edge ** 3 / 8);
    const stage = this.table.getBoundingClientRect();
    const scale = Math.min(devicePixelRatio, 1.5);
    this.renderer.resize(Math.round(stage.width * scale), Math.round(stage.height * scale));
    this.renderer.forget();
    this.renderer.gl.clearColor(0, 0, 0, 0);
    this.renderer.gl.bindFramebuffer(this.renderer.gl.FRAMEBUFFER, null);
    this.renderer.gl.clear(this.renderer.gl.COLOR_BUFFER_BIT);
    const begun = performance.now();
    head.cards.forEach((item, index) => {
      const box = this.cards.children[index].querySelector(".view").getBoundingClientRect();
      const [x, y, width, height] = [box.left - stage.left, box.top - stage.top, box.width, box.height].map((length) =>
        Math.round(length * scale),
      );
      if (width < 8 || x + width > this.canvas.width + 1) return;
      const panel = { index, shape, x, y, width, height, bits: bits.subarray(index * bytes, (index + 1) * bytes) };
      this.renderer.draw(panel, this.scale, VIEW, lookOf(this.dark, item.color));
    });
    await this.renderer.finished();
    const spent = Math.max(performance.now() - begun, 1);
    this.scale = clamp(this.scale * Math.sqrt(FRAME / spent), 0.5, 1);
    this.host.dataset.drawn = head.id;
  }

  // After a release: until the page has drawn other designs, or has run.
  wait() {
    if (this.panel.classList.contains("away")) return;
    this.note.textContent = "full designs are being made …";
    const begun = performance.now();
    let ran = false;
    this.released = true;
    const look = () => {
      if (!this.released) return;
      const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
      ran ||= state === "running";
      const age = performance.now() - begun;
      if ((state === "notRunning" && (ran || age > 1500)) || age > LONGEST) this.hide();
      else this.leave = setTimeout(look, 60);
    };
    this.leave = setTimeout(look, 60);
  }

  hide() {
    clearTimeout(this.leave);
    this.released = false;
    this.panel.classList.add("away");
    this.plane.hide(this.room);
  }
}

// What stays as it is costs no layout.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const PREVIEW_STYLE = `
.preview { position: fixed; z-index: 999990; box-sizing: border-box; padding: 0.6rem 0.8rem 0.7rem; border-radius: 0.6rem;
  background: var(--background-color, #fff); color: var(--text-color, #1c2531); font-size: 0.8rem;
  border: 1px solid var(--border-color, #d9dfe7); box-shadow: 0 6px 24px rgb(0 0 0 / 0.22); pointer-events: none; }
.preview.low { bottom: 0; z-index: 1000010; /* over the sidebar, which covers a narrow page */ border-radius: 0.6rem 0.6rem 0 0; overflow-x: auto; }
.away { display: none; }
.bar { display: flex; gap: 0.6rem; align-items: baseline; margin-bottom: 0.3rem; }
.note { opacity: 0.8; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.stage { position: relative; display: flex; gap: 0.8rem; align-items: flex-start; }
.room { display: none; flex: none; position: relative; overflow: hidden; }
.room.shown { display: block; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.table { position: relative; flex: 1; min-width: 0; }
.cards { position: relative; display: grid; gap: ${GAP}px; grid-template-columns: repeat(var(--columns, 6), minmax(0, 1fr)); }
.view { height: 100px; max-width: 150px; }
.low .view { height: 56px; }
.low .card { font-size: 0.72rem; }
.low .title { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.title { font-weight: 600; border-bottom: 2px solid var(--tint); margin-bottom: 0.15rem; }
.figures { line-height: 1.3; font-variant-numeric: tabular-nums; }
.far { opacity: 0.55; }
`;
