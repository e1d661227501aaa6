// The socket of the previews: the newest position is sent once the former is answered.

const RETRY = 15000; // [ms] after which a server that did not answer is asked again
const PATIENCE = 4000; // [ms] after which an answer that is missing is not waited for
const MOST_SENT = 3; // positions without an answer
const PREPARED = 3000; // [ms] after the page has sliders, at which the first preview is prepared
const MOVING = 600; // [ms] after a position during which nothing else is to be drawn that can wait

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
