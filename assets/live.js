// A slider of one quantity, and previews of the target while it moves: each position is sent to the server by a
// WebSocket of its own, the newest once the former is answered, and what comes back is drawn over the page. Where there
// is no such route the slider works without previews. assets/volume.js and assets/plane.js come before.
//
// Text from Python and from the server enters the page through textContent only.

const sliders = new WeakMap();
const KEY_REST = 450; // [ms] after the last key at which a position counts as final
const RETRY = 15000; // [ms] after which a server that did not answer is asked again
const PATIENCE = 4000; // [ms] after which an answer that is missing is not waited for
const MOST_SENT = 3; // positions without an answer
const LONGEST = 20000; // [ms] after a release at which a preview goes, whatever the page does
const PREPARED = 3000; // [ms] after the page has sliders, at which the first preview is prepared
const MOVING = 600; // [ms] after a position during which nothing else is to be drawn that can wait
const FRAME = 45; // [ms] that a preview may take to be drawn
const NARROW = 760; // [px] width of a window whose sidebar covers the page

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  let slider = sliders.get(parentElement);
  if (!slider) {
    slider = new Slider(parentElement);
    sliders.set(parentElement, slider);
  }
  slider.send = (values) => setTriggerValue("moved", { values });
  slider.update(JSON.parse(data.slider));
  return () => {
    slider.dispose();
    sliders.delete(parentElement);
  };
}

class Slider {
  constructor(parent) {
    this.root = make("div", "live-slider", parent);
    this.inputs = [];
  }

  dispose() {
    clearTimeout(this.rest);
    this.root.remove();
  }

  update(data) {
    const { values, low, high, step, label } = data;
    this.data = data;
    if (this.inputs.length !== values.length) this.build(values.length);
    if (this.moving) return; // the user has gone on
    this.inputs.forEach((input, index) => {
      Object.assign(input, { min: low, max: high, step });
      input.value = values[index];
      const which = values.length > 1 ? ["from", "to"][index] : "";
      input.setAttribute("aria-label", [label, which].filter(Boolean).join(" "));
    });
    this.touched = new Set();
    this.show();
  }

  build(count) {
    this.root.replaceChildren();
    this.root.classList.toggle("two", count > 1);
    this.track = make("div", "track", this.root);
    this.fill = make("div", "fill", this.track);
    this.inputs = Array.from({ length: count }, () => {
      const input = make("input", "", this.root);
      input.type = "range";
      input.addEventListener("input", () => this.move(input));
      for (const name of ["pointerenter", "pointerdown", "focus"])
        input.addEventListener(name, () => live.prepare(this.data.path));
      input.addEventListener("keydown", (event) => (this.byKey = !["Tab", "Shift", "Escape"].includes(event.key)));
      input.addEventListener("pointerdown", () => (this.byKey = false));
      input.addEventListener("change", () => this.settle());
      input.addEventListener("blur", () => this.moving && this.release());
      return input;
    });
    live.prepareSoon();
    this.ends = make("div", "ends", this.root);
    this.values = make("div", "values", this.root);
  }

  show() {
    const { low, high, digits, unit } = this.data;
    const texts = this.positions().map((value) => String(Number(value.toFixed(digits + 2))));
    this.values.textContent = texts.join(" to ") + (unit ? ` ${unit}` : "");
    this.inputs.forEach((input, index) => input.setAttribute("aria-valuetext", `${texts[index]} ${unit}`));
    const places = this.inputs.map((input) => (100 * (input.value - low)) / Math.max(high - low, 1e-12));
    const [from, to] = places.length > 1 ? places : [0, places[0]];
    this.fill.style.left = `${from}%`;
    this.fill.style.width = `${to - from}%`;
  }

  move(input) {
    this.moving = true;
    this.touched.add(input);
    if (this.inputs.length > 1) {
      // neither end passes the other
      const [from, to] = this.inputs;
      if (Number(from.value) > Number(to.value)) input.value = input === from ? to.value : from.value;
    }
    this.show();
    clearTimeout(this.rest);
    live.ask(this.data, this.positions(), this.root);
    if (this.byKey) this.settle();
  }

  // A handle that nobody has touched has the value that was typed, which may lie between two steps.
  positions() {
    return this.inputs.map((input, index) => (this.touched.has(input) ? Number(input.value) : this.data.values[index]));
  }

  // Keys send one final position after the last of them, a pointer when it lets go.
  settle() {
    clearTimeout(this.rest);
    if (this.byKey) this.rest = setTimeout(() => this.release(), KEY_REST);
    else this.release();
  }

  release() {
    clearTimeout(this.rest);
    if (!this.moving) return;
    this.moving = false;
    live.release();
    this.send(this.positions());
  }
}

// The socket that all sliders of the page share, and the preview that it fills.
class Live {
  constructor() {
    this.number = 0;
    this.last = 0; // number of the last position before a release
    this.sent = new Map(); // positions that are not answered yet, by their number
    this.next = null; // the newest one after them
    this.failed = -RETRY;
    this.asked = -MOVING;
    this.times = []; // [ms] from a position to its picture, for those who measure
  }

  open(path) {
    if (!path || this.socket || performance.now() - this.failed < RETRY) return;
    const url = new URL(path, window.location.href);
    url.protocol = window.location.protocol === "https:" ? "wss:" : "ws:";
    let socket;
    try {
      socket = new WebSocket(url);
    } catch {
      this.failed = performance.now();
      return;
    }
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.push();
    socket.onmessage = ({ data }) => this.answer(data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      if (!this.answered) this.failed = performance.now();
      this.socket = this.next = null;
      this.sent.clear();
      this.answered = false;
    };
    this.socket = socket;
  }

  // What the first preview would wait for: the socket, and the compiled shader.
  prepare(path) {
    this.open(path);
    this.preview ??= new Preview();
  }

  prepareSoon() {
    this.soon ??= setTimeout(() => {
      const idle = globalThis.requestIdleCallback ?? ((call) => call());
      idle(() => (this.preview ??= new Preview()));
    }, PREPARED);
  }

  // Whether a slider moves: the gallery asks before it draws what can wait.
  isMoving() {
    return performance.now() - this.asked < MOVING;
  }

  ask(data, values, near) {
    this.asked = performance.now();
    this.open(data.path);
    if (!this.socket) return;
    const ends = values.length > 1 ? values : data.ends.map((end) => (end === null ? null : values[0]));
    const message = { id: ++this.number, link: data.link, changed: { [data.name]: ends } };
    const wanted = { ...data.wanted, [data.name]: ends };
    const also = data.axes.filter((name) => !(name in wanted));
    if (also.length) message.also = also;
    const { labels, units, axes } = data;
    this.next = { message, begun: performance.now(), labels, units, axes, wanted, near };
    this.push();
  }

  push() {
    const open = this.socket?.readyState === WebSocket.OPEN;
    if (!this.next || !open || this.sent.size >= MOST_SENT || (this.sent.size && !this.isLate())) return;
    this.sent.set(this.next.message.id, this.next);
    this.next.sent = performance.now();
    this.socket.send(JSON.stringify(this.next.message));
    this.next = null;
  }

  isLate() {
    return Math.max(...[...this.sent.values()].map(({ sent }) => sent)) < performance.now() - PATIENCE;
  }

  answer(data) {
    this.answered = true;
    if (typeof data === "string") {
      const { id } = JSON.parse(data);
      if (this.sent.has(id)) this.sent.delete(id);
      else this.sent.clear();
      this.preview?.hide();
    } else {
      const length = new DataView(data).getUint32(0, true);
      const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      const asked = this.sent.get(head.id);
      this.sent.delete(head.id);
      if (asked && !this.isOver(head.id)) this.draw(head, new Uint8Array(data, 4 + length), asked);
    }
    this.push();
  }

  // Whether the slider was let go, and the page has had its run since.
  isOver(id) {
    return id <= this.last && !this.preview?.released;
  }

  async draw(head, bits, asked) {
    this.preview ??= new Preview();
    const released = head.id <= this.last;
    await this.preview.show(head, bits, asked);
    if (released) this.preview.wait();
    this.times.push(performance.now() - asked.begun);
    this.preview.host.dataset.times = this.times.map((time) => time.toFixed(1)).join(" ");
  }

  release() {
    this.last = this.number;
    this.next = null;
    this.preview?.wait();
  }
}

const live = (globalThis.vaeregLive ??= new Live());

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
    this.canvas = make("canvas", "", this.stage);
    this.canvas.setAttribute("aria-hidden", "true");
    this.room = make("div", "room", this.stage);
    this.room.setAttribute("aria-hidden", "true");
    this.plane = new Plane();
    this.cards = make("div", "cards", this.stage);
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
    this.renderer.draw(panel, 1, { ...HOME, voxels: false, soft: false, tiled: false, axis: -1, cut: 0.5 }, this.look(""));
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
    const ground = parseColor(colors["background-color"], [1, 1, 1]);
    this.dark = ground[0] + ground[1] + ground[2] < 1.5;
    this.panel.style.fontFamily = style.fontFamily;
    this.panel.classList.remove("away");
    this.place();
    this.note.textContent = "one structure a mode, with the values that its latent vector stands for; designs follow";
    this.fill(head, asked);
    this.plane.draw(head, { ...asked, roomy: !this.panel.classList.contains("low") }, this.room);
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
    head.cards.forEach((item, index) => {
      const card = this.cards.children[index];
      card.classList.toggle("far", !item.reached);
      card.style.setProperty("--tint", item.color);
      card.querySelector(".title").textContent = item.title;
      const figures = head.names.filter((name) => name in labels).slice(0, 3).map((name, place) => {
        const value = item.values[place];
        const text = value === null ? "–" : String(Number(value.toPrecision(3)));
        return `${labels[name] ?? name} ${text}${units[name] ? ` ${units[name]}` : ""}`;
      });
      const off = item.off < 0.005 ? "on target" : item.off > 9.99 ? "far off" : `${(100 * item.off).toFixed(0)} % off`;
      card.querySelector(".figures").replaceChildren(...[item.reached ? off : `out of reach, ${off}`, ...figures].map(line));
    });
  }

  async draw(head, bits) {
    if (!this.renderer || this.renderer.lost()) return;
    const { edge } = head;
    const shape = [edge, edge, edge];
    const bytes = Math.ceil(edge ** 3 / 8);
    const stage = this.stage.getBoundingClientRect();
    const scale = Math.min(devicePixelRatio, 1.5);
    this.renderer.resize(Math.round(stage.width * scale), Math.round(stage.height * scale));
    this.renderer.forget();
    this.renderer.gl.clearColor(0, 0, 0, 0);
    this.renderer.gl.bindFramebuffer(this.renderer.gl.FRAMEBUFFER, null);
    this.renderer.gl.clear(this.renderer.gl.COLOR_BUFFER_BIT);
    const view = { ...HOME, voxels: false, soft: false, tiled: false, axis: -1, cut: 0.5 };
    const begun = performance.now();
    head.cards.forEach((item, index) => {
      const box = this.cards.children[index].querySelector(".view").getBoundingClientRect();
      const [x, y, width, height] = [box.left - stage.left, box.top - stage.top, box.width, box.height].map((length) =>
        Math.round(length * scale),
      );
      if (width < 8 || x + width > this.canvas.width + 1) return;
      const panel = { index, shape, x, y, width, height, bits: bits.subarray(index * bytes, (index + 1) * bytes) };
      this.renderer.draw(panel, this.scale, view, this.look(item.color));
    });
    await this.renderer.finished();
    const spent = Math.max(performance.now() - begun, 1);
    this.scale = clamp(this.scale * Math.sqrt(FRAME / spent), 0.5, 1);
    this.host.dataset.drawn = head.id;
  }

  look(color) {
    const own = this.dark
      ? { stiff: [0.7, 0.75, 0.8], shade: [0.16, 0.2, 0.28], line: [0.62, 0.7, 0.78], accent: [0.95, 0.55, 0.2], mix: 0.62 }
      : { stiff: [0.8, 0.84, 0.88], shade: [0.26, 0.32, 0.43], line: [0.3, 0.37, 0.45], accent: [0.9, 0.45, 0.1], mix: 0.6 };
    const tint = parseColor(color, own.stiff);
    return { ...own, cut: own.stiff.map((value, i) => value + (tint[i] - value) * own.mix) };
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

function line(text) {
  const element = make("div", "");
  element.textContent = text;
  return element;
}

const PREVIEW_STYLE = `
.preview { position: fixed; z-index: 999990; box-sizing: border-box; padding: 0.6rem 0.8rem 0.7rem; border-radius: 0.6rem;
  background: var(--background-color, #fff); color: var(--text-color, #1c2531); font-size: 0.8rem;
  border: 1px solid var(--border-color, #d9dfe7); box-shadow: 0 6px 24px rgb(0 0 0 / 0.22); pointer-events: none; }
.preview.low { bottom: 0; border-radius: 0.6rem 0.6rem 0 0; overflow-x: auto; }
.away { display: none; }
.bar { display: flex; gap: 0.6rem; align-items: baseline; margin-bottom: 0.3rem; }
.note { opacity: 0.8; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.stage { position: relative; display: flex; gap: 0.8rem; align-items: flex-start; }
.room { display: none; flex: none; position: relative; overflow: hidden; }
.room.shown { display: block; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cards { position: relative; flex: 1; min-width: 0; display: grid; gap: 0.5rem; grid-template-columns: repeat(auto-fit, minmax(86px, 1fr)); }
.low .cards { grid-auto-flow: column; grid-template-columns: none; grid-auto-columns: minmax(84px, 1fr); overflow: hidden; }
.view { height: 100px; max-width: 150px; }
.low .view { height: 84px; }
.title { font-weight: 600; border-bottom: 2px solid var(--tint); margin-bottom: 0.15rem; }
.figures { line-height: 1.3; font-variant-numeric: tabular-nums; }
.far { opacity: 0.55; }
`;
