// The figure of what is reachable while a slider moves: over it a cross, a line or a box where the target is now, and
// a dot for what each preview stands for. Where the figure is out of sight, a copy of it is in the preview.

const PLOT = ".st-key-closure .js-plotly-plot";
const CROSS = 9; // [px] half an arm of the cross
const DOT = 4.5; // [px] radius of a dot

class Plane {
  constructor() {
    this.layer = drawing("svg", { class: "vaereg-plane", "aria-hidden": "true" });
    Object.assign(this.layer.style, { position: "absolute", inset: "0", pointerEvents: "none", overflow: "visible" });
  }

  // Args: answer of the server, what was asked, and the part of the preview that has room for a copy.
  draw(head, asked, room) {
    const plot = document.querySelector(PLOT);
    const layout = plot?._fullLayout;
    if (!layout?.xaxis?.d2p || !asked.axes?.length) return this.hide(room);
    const axes = [layout.xaxis, layout.yaxis];
    const ends = axes.map((axis, which) => span(axis, asked.wanted[asked.axes[which]]));
    const marks = [...target(ends), ...dots(head, asked.axes, axes)];
    this.layer.replaceChildren(...marks);
    this.layer.setAttribute("width", layout.width);
    this.layer.setAttribute("height", layout.height);
    if (isSeen(plot)) {
      room.replaceChildren();
      room.classList.remove("shown");
      (plot.querySelector(".svg-container") ?? plot).append(this.layer);
    } else if (asked.roomy) {
      if (this.copied !== plot || !room.firstChild) this.copy(plot, layout, room);
      room.append(this.layer);
    } else this.hide(room);
  }

  copy(plot, layout, room) {
    this.copied = plot;
    const pictures = [...plot.querySelectorAll("svg.main-svg")].map((picture) => {
      const copy = picture.cloneNode(true);
      copy.querySelectorAll(".legend, .modebar, .hoverlayer").forEach((part) => part.remove());
      Object.assign(copy.style, { position: "absolute", left: "0", top: "0", background: "none" });
      return copy;
    });
    room.replaceChildren(...pictures);
    room.classList.add("shown");
    const low = layout.yaxis._offset + layout.yaxis._length;
    Object.assign(room.style, { width: `${layout.width}px`, height: `${Math.min(low + 54, layout.height)}px` });
  }

  hide(room) {
    this.layer.remove();
    this.copied = null;
    room?.replaceChildren();
    room?.classList.remove("shown");
  }
}

// Both ends of what is wanted along an axis [px], from side to side where it is open.
function span(axis, wanted) {
  const sides = [0, axis._length];
  const at = (value) => Math.min(Math.max(axis.d2p(value), sides[0]), sides[1]);
  const [low, high] = wanted ?? [null, null];
  const open = axis._id === "y" ? [sides[1], sides[0]] : sides;
  const ends = [low === null ? open[0] : at(low), high === null ? open[1] : at(high)];
  return { free: low === null && high === null, point: low !== null && low === high, ends: ends.map((end) => axis._offset + end) };
}

function target([across, up]) {
  if (across.free && up.free) return [];
  if (across.point && up.point) {
    const [x, y] = [across.ends[0], up.ends[0]];
    const path = `M${x - CROSS},${y}h${2 * CROSS}M${x},${y - CROSS}v${2 * CROSS}`;
    return [
      drawing("path", { d: path, stroke: "#ffffff", "stroke-width": 6, "stroke-opacity": 0.8 }),
      drawing("path", { d: path, stroke: "#2f9e78", "stroke-width": 3, class: "cross" }),
    ];
  }
  const [x, y] = [across, up].map(({ ends }) => Math.min(...ends));
  const [width, height] = [across, up].map(({ ends }) => Math.max(Math.abs(ends[1] - ends[0]), 1));
  return [drawing("rect", { x, y, width, height, fill: "#2f9e78", "fill-opacity": 0.3, stroke: "#2f9e78", class: "cross" })];
}

function dots(head, names, axes) {
  const places = names.map((name) => head.names.indexOf(name));
  if (places.includes(-1)) return [];
  return head.cards.flatMap(({ values, color, reached }) => {
    const [x, y] = places.map((place, which) => values[place] === null ? NaN : axes[which]._offset + axes[which].d2p(values[place]));
    if (!Number.isFinite(x) || !Number.isFinite(y)) return [];
    const dot = { cx: x, cy: y, r: DOT, fill: color, "fill-opacity": reached ? 1 : 0.45, stroke: "#ffffff" };
    return [drawing("circle", dot)];
  });
}

function isSeen(plot) {
  const box = plot.getBoundingClientRect();
  const inside = plot.closest("[data-testid=stSidebar]")?.getBoundingClientRect();
  const right = Math.min(inside?.right ?? window.innerWidth, window.innerWidth);
  return box.width > 0 && box.left >= 0 && box.right <= right + 1 && box.top >= 0 && box.top + 0.6 * box.height <= window.innerHeight;
}

function drawing(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  return element;
}

