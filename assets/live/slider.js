// A slider of one quantity, and previews of the target while it moves: each position is sent to the server by a
// WebSocket of its own, the newest once the former is answered, and what comes back is drawn over the page. Where there
// is no such route the slider works without previews. The other files of this folder and of assets/volumes come before.
//
// Text from Python and from the server enters the page through textContent only.

const sliders = new WeakMap();
const KEY_REST = 450; // [ms] after the last key at which a position counts as final

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
    const { low, high, unit } = this.data;
    const texts = this.texts();
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
    this.follow();
    clearTimeout(this.rest);
    live.ask(this.data, this.positions(), this.root);
    if (this.byKey) this.settle();
  }

  // The numbers that can be typed are fields of the page beside the slider, which sets them after the release.
  follow() {
    const row = this.root.getRootNode().host?.closest("[class*=st-key-row-]");
    const fields = row?.querySelectorAll("input[aria-label$=typed]") ?? [];
    this.texts().forEach((text, index) => fields[index] && (fields[index].value = text));
  }

  texts() {
    return this.positions().map((value) => String(Number(value.toFixed(this.data.digits + 2))));
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
