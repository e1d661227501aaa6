// Two-phase volumes drawn by WebGL2, each a 3D texture. assets/volumes/shader.js comes before.

const HOME = { yaw: 0.6, pitch: 0.42, zoom: 1 };
const SLOPE = 0.19; // half the image height at unit distance: a long lens, nearly parallel
const DISTANCE = 4.5; // at which a unit cube fills the panel

// What drew a gallery that is gone, to draw the next one: a context and a compiled shader take their time.
const spares = [];
const MOST_SPARES = 2;

class Renderer {
  // One with a canvas of its own, which belongs to no gallery; null where there is no WebGL 2.
  static take() {
    const spare = spares.pop();
    if (spare && !spare.lost()) return spare;
    return Renderer.create(make("canvas"));
  }

  static create(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, depth: false, preserveDrawingBuffer: true });
    return gl ? new Renderer(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    Object.assign(this, { canvas, gl });
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      const logs = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
      throw new Error(`gallery shader: ${gl.getProgramInfoLog(program)} ${logs.join(" ")}`);
    }
    this.program = program;
    this.uniform = new Proxy({}, { get: (known, name) => (known[name] ??= gl.getUniformLocation(program, name)) });
    this.vertices = gl.createVertexArray();
    this.target = gl.createTexture();
    this.buffer = gl.createFramebuffer();
    this.targetSize = [0, 0];
    this.textures = new Map();
  }

  lost() {
    return this.gl.isContextLost();
  }

  // Gives it back, for the next gallery.
  retire() {
    this.canvas.remove();
    if (this.lost()) return;
    if (spares.length === MOST_SPARES) {
      this.gl.getExtension("WEBGL_lose_context")?.loseContext();
      return;
    }
    this.forget();
    this.resize(1, 1);
    spares.push(this);
  }

  forget() {
    for (const texture of this.textures.values()) this.gl.deleteTexture(texture);
    this.textures.clear();
  }

  resize(width, height) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
  }

  // Draws a panel at `scale` times its size into a texture, and that, filtered, onto the canvas.
  draw(panel, scale, view, colors) {
    const { gl, uniform } = this;
    const width = Math.max(8, Math.round(panel.width * scale));
    const height = Math.max(8, Math.round(panel.height * scale));
    this.reserve(width + 1, height + 1); // the filter below reads one texel beyond the edge
    const shape = panel.shape.map((edge) => edge * (view.tiled ? 2 : 1));
    const longest = Math.max(...shape);
    const { basis, eye } = cameraOf(view, shape);
    const wide = width / height;
    const low = [0, 0, 0];
    const high = [...shape];
    if (view.axis >= 0) high[view.axis] = Math.max(1, view.cut * shape[view.axis]);
    const slope = [SLOPE * Math.max(wide, 1), SLOPE * Math.max(1, 1 / wide)];

    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffer);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(0, 0, width + 1, height + 1);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.disable(gl.SCISSOR_TEST);
    gl.viewport(0, 0, width, height);
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vertices);
    gl.bindTexture(gl.TEXTURE_3D, this.texture(panel));
    gl.uniform3fv(uniform.size, shape);
    gl.uniform3fv(uniform.period, panel.shape);
    gl.uniform3fv(uniform.low, low);
    gl.uniform3fv(uniform.high, high);
    gl.uniform3fv(uniform.eye, eye.map((value, axis) => value * longest + 0.5 * shape[axis]));
    gl.uniformMatrix3fv(uniform.basis, false, basis);
    gl.uniform2fv(uniform.slope, slope);
    gl.uniform1f(uniform.pixel, ((2 * slope[1]) / height) * Math.max(1, scale));
    gl.uniform1i(uniform.voxels, view.voxels ? 1 : 0);
    gl.uniform1i(uniform.soft, view.soft ? 1 : 0);
    for (const name of ["stiff", "cut", "shade", "line", "accent"]) gl.uniform3fv(uniform[name], colors[name]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);

    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, this.buffer);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
    const bottom = this.canvas.height - panel.y - panel.height;
    gl.blitFramebuffer(
      0, 0, width, height, panel.x, bottom, panel.x + panel.width, bottom + panel.height, gl.COLOR_BUFFER_BIT, gl.LINEAR,
    );
  }

  // What is on the canvas, to be shown again: its size, and its pixels as they lie in memory.
  picture() {
    const { gl } = this;
    const { width, height } = this.canvas;
    const pixels = new Uint8Array(4 * width * height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return { width, height, pixels };
  }

  show({ width, height, pixels }) {
    const { gl } = this;
    this.reserve(width, height);
    gl.bindTexture(gl.TEXTURE_2D, this.target);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, this.buffer);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
    gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
  }

  // Resolves when the graphics processor has done all that was asked of it.
  finished() {
    const { gl } = this;
    const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    return new Promise((resolve) => {
      const poll = () => {
        const state = sync ? gl.clientWaitSync(sync, 0, 0) : gl.WAIT_FAILED;
        if (state === gl.TIMEOUT_EXPIRED) setTimeout(poll, 3);
        else {
          gl.deleteSync(sync);
          resolve();
        }
      };
      poll();
    });
  }

  reserve(width, height) {
    if (width <= this.targetSize[0] && height <= this.targetSize[1]) return;
    const { gl } = this;
    this.targetSize = [Math.max(width, this.targetSize[0]), Math.max(height, this.targetSize[1])];
    gl.bindTexture(gl.TEXTURE_2D, this.target);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, ...this.targetSize, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.target, 0);
  }

  // The panel's volume as a texture, made when it is first seen.
  texture(panel) {
    const { shape } = panel;
    const known = this.textures.get(panel.index);
    if (known) return known;
    const { gl } = this;
    const texture = gl.createTexture();
    this.textures.set(panel.index, texture);
    gl.bindTexture(gl.TEXTURE_3D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    const texels = smoothed(panel.bits, panel.marks, shape);
    const [stored, given] = panel.marks ? [gl.RGB8, gl.RGB] : [gl.RG8, gl.RG];
    gl.texImage3D(gl.TEXTURE_3D, 0, stored, shape[2], shape[1], shape[0], 0, given, gl.UNSIGNED_BYTE, texels);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_NEAREST);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) gl.texParameteri(gl.TEXTURE_3D, axis, gl.REPEAT);
    gl.generateMipmap(gl.TEXTURE_3D);
    return texture;
  }
}

// Base64 of numpy.packbits over volumes of these shapes, one after the other, every volume starting at a byte.
function decodeVolumes(text, shapes) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  let start = 0;
  return shapes.map(([x, y, z]) => bytes.subarray(start, (start += Math.ceil((x * y * z) / 8))));
}

// Bits to bytes of a texture, two a voxel: the phase under a periodic 1-4-1 filter along each axis, whose level set at
// one half is the smooth surface, and the phase; a third one where there are marks: whether the voxel is marked.
function smoothed(bits, marks, shape) {
  const count = shape[0] * shape[1] * shape[2];
  const phase = unpacked(bits, count);
  let [field, next] = [phase, new Uint8Array(count)];
  let block = count;
  for (const length of shape) {
    sumNeighbours(field, next, block, length);
    [field, next] = [next, field === phase ? new Uint8Array(count) : field];
    block /= length;
  }
  const marked = marks && unpacked(marks, count);
  const channels = marks ? 3 : 2;
  const texels = new Uint8Array(channels * count);
  for (let i = 0, at = 0; i < count; i++, at += channels) {
    texels[at] = BYTES[field[i]];
    texels[at + 1] = 255 * phase[i];
    if (marked) texels[at + 2] = 255 * marked[i];
  }
  return texels;
}

// Sums of the weights 1, 4, 1 along three axes as bytes of a texture.
const BYTES = Uint8Array.from({ length: 6 ** 3 + 1 }, (_, sum) => Math.round((255 * sum) / 6 ** 3));

// Bits as numpy.packbits has them, one byte each.
function unpacked(bits, count) {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i++) bytes[i] = (bits[i >> 3] >> (7 - (i & 7))) & 1;
  return bytes;
}

// Weights 1, 4, 1 along one axis, periodic; `block` is what its whole length spans, in voxels as they lie in memory.
function sumNeighbours(from, to, block, length) {
  const stride = block / length;
  for (let start = 0; start < from.length; start += block) {
    for (let k = 0; k < length; k++) {
      const here = start + k * stride;
      const left = k ? here - stride : start + block - stride;
      const right = k < length - 1 ? here + stride : start;
      for (let i = 0; i < stride; i++) to[here + i] = from[left + i] + 4 * from[here + i] + from[right + i];
    }
  }
}

// Right, up and forward as the columns of a column-major matrix, seen from the side that `yaw` and `pitch` name;
// the eye is measured from the middle of a cell whose longest edge is one.
function cameraOf({ yaw, pitch, zoom }, shape) {
  const out = [Math.cos(pitch) * Math.sin(yaw), -Math.cos(pitch) * Math.cos(yaw), Math.sin(pitch)];
  const right = [Math.cos(yaw), Math.sin(yaw), 0];
  const up = [-Math.sin(pitch) * Math.sin(yaw), Math.sin(pitch) * Math.cos(yaw), Math.cos(pitch)];
  const longest = Math.max(...shape);
  const radius = Math.hypot(...shape.map((edge) => edge / longest)) / Math.sqrt(3);
  const distance = (DISTANCE * radius) / zoom;
  return { basis: [...right, ...up, ...out.map((value) => -value)], eye: out.map((value) => value * distance) };
}
