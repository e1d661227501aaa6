// Notes when the page asked Streamlit's server for a run, and when a run ended: by the protocol, since what the page
// shows and says of its state is still that of the run before until the server begins the next one. Runs of a part of
// the page (a fragment) are told apart, and those that a part asks for by the clock are left out.
(() => {
  const RERUN = 11, FRAGMENT = 5, BY_CLOCK = 6; // fields of what the page sends
  const FINISHED = 6, WHOLE = 0, PART = 3; // field of what the server sends, and two of its values
  const runs = (globalThis.vaeregRuns = { asked: 0, ended: -1, partAsked: -1, partEnded: 0 }); // [ms] the last time

  // Fields of a message of Protocol Buffers by their numbers: numbers, and bytes.
  const fields = (bytes) => {
    const found = {};
    let place = 0;
    const number = () => {
      let value = 0, factor = 1, byte;
      do {
        byte = bytes[place++];
        value += (byte & 127) * factor;
        factor *= 128;
      } while (byte & 128);
      return value;
    };
    while (place < bytes.length) {
      const key = number(), value = number();
      const hasBytes = key % 8 === 2;
      found[key >> 3] = hasBytes ? bytes.subarray(place, place + value) : value;
      if (hasBytes) place += value;
    }
    return found;
  };

  const sent = (bytes) => {
    const { [RERUN]: rerun } = fields(bytes);
    if (!rerun) return;
    const { [FRAGMENT]: fragment, [BY_CLOCK]: byClock } = fields(rerun);
    if (!byClock) runs[fragment?.length ? "partAsked" : "asked"] = performance.now();
  };

  const received = (bytes) => {
    const { [FINISHED]: status } = fields(bytes);
    if (status === WHOLE) runs.ended = performance.now();
    if (status === PART) runs.partEnded = performance.now();
  };

  const watched = new WeakSet();
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (message) {
    if (this.url.includes("/_stcore/stream") && message instanceof Uint8Array) {
      sent(message);
      if (!watched.has(this)) this.addEventListener("message", ({ data }) => received(new Uint8Array(data)));
      watched.add(this);
    }
    return send.call(this, message);
  };
})();
