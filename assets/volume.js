// Two-phase volumes drawn by WebGL2: each is a ray-marched 3D texture. Shared by the gallery and the previews, to whose
// texts Python puts this one in front.

const HOME = { yaw: 0.6, pitch: 0.42, zoom: 1 };
const SLOPE = 0.19; // half the image height at unit distance: a long lens, nearly parallel
const DISTANCE = 4.5; // at which a unit cube fills the panel

const VERTEX = `#version 300 es
out vec2 point;
void main() {
  point = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(point, 0.0, 1.0);
}`;

// Positions are in voxels, from 0 to size, x y z; the texture's fastest axis is z, hence the zyx. The box holds one
// period or, tiled, two along each axis.
const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler3D;
uniform sampler3D volume;  // red: smoothed phase, green: phase, blue: whether the voxel is marked
uniform vec3 size, period, low, high, eye, stiff, cut, shade, line, accent;
uniform mat3 basis;  // columns: right, up, forward
uniform vec2 slope;
uniform float pixel;  // width of a pixel at unit distance
uniform bool voxels, soft;  // soft: show the soft phase in place of the stiff one
in vec2 point;
out vec4 color;

// At one half, faces on which stiff and soft voxels meet across the period would be neither.
const float LEVEL = 0.506;

float level(vec3 p, float lod) {
  float value = textureLod(volume, (p / period).zyx, lod).r;
  return soft ? 1.0 - value : value;
}

float field(vec3 p) { return level(p, 0.0); }

bool solid(ivec3 index) {
  float phase = texelFetch(volume, (index % ivec3(period)).zyx, 0).g;
  return soft ? phase < 0.5 : phase > 0.5;
}

vec2 slab(vec3 origin, vec3 inverse, vec3 a, vec3 b) {
  vec3 t0 = (a - origin) * inverse, t1 = (b - origin) * inverse;
  vec3 near = min(t0, t1), far = max(t0, t1);
  return vec2(max(max(near.x, near.y), near.z), min(min(far.x, far.y), far.z));
}

vec3 faceNormal(vec3 p, vec3 ray) {
  vec3 gap = min(abs(p - low), abs(p - high));
  if (gap.x <= gap.y && gap.x <= gap.z) return vec3(-sign(ray.x), 0.0, 0.0);
  return gap.y <= gap.z ? vec3(0.0, -sign(ray.y), 0.0) : vec3(0.0, 0.0, -sign(ray.z));
}

// How much of this pixel an edge of the cell covers: two coordinates lie within a line's width of the faces.
float edge(vec3 p, float t) {
  vec3 gap = min(abs(p), abs(size - p));
  float middle = max(min(gap.x, gap.y), min(max(gap.x, gap.y), gap.z));
  float width = pixel * t;
  return 1.0 - smoothstep(0.6 * width, 1.5 * width, middle);
}

vec3 gradient(vec3 p) {
  const vec2 k = vec2(1.0, -1.0);
  const float h = 0.8;
  return k.xyy * field(p + k.xyy * h) + k.yyx * field(p + k.yyx * h)
       + k.yxy * field(p + k.yxy * h) + k.xxx * field(p + k.xxx * h);
}

// A zoomed volume fades where its view ends.
float inside_view() { return 1.0 - smoothstep(0.93, 1.0, max(abs(point.x), abs(point.y))); }

void main() {
  vec3 ray = normalize(basis * vec3(point * slope, 1.0));
  vec3 inverse = 1.0 / (ray + step(abs(ray), vec3(1e-6)) * 1e-6);
  vec2 cell = slab(eye, inverse, vec3(0.0), size);
  if (cell.x >= cell.y) { color = vec4(0.0); return; }
  vec2 span = slab(eye, inverse, low, high);
  float t = max(span.x, 0.0), end = span.y;
  vec3 normal = vec3(0.0);
  bool hit = false, onCut = false;

  if (t < end) {
    vec3 entry = eye + ray * t;
    if (voxels) {
      vec3 start = entry + ray * 1e-3;
      ivec3 index = ivec3(clamp(floor(start), low, high - 1e-3)), turn = ivec3(sign(ray));
      vec3 delta = abs(inverse), next = t + (step(0.0, ray) + vec3(index) - entry) * inverse;
      normal = faceNormal(entry, ray);
      onCut = true;
      for (int i = 0; i < 1600; i++) {
        if (solid(index)) { hit = true; break; }
        onCut = false;
        if (next.x < next.y && next.x < next.z) {
          t = next.x; next.x += delta.x; index.x += turn.x; normal = vec3(-float(turn.x), 0.0, 0.0);
        } else if (next.y < next.z) {
          t = next.y; next.y += delta.y; index.y += turn.y; normal = vec3(0.0, -float(turn.y), 0.0);
        } else {
          t = next.z; next.z += delta.z; index.z += turn.z; normal = vec3(0.0, 0.0, -float(turn.z));
        }
        if (t >= end - 1e-4) break;
      }
    } else {
      float value = field(entry);
      if (value > LEVEL) {
        hit = true; onCut = true; normal = faceNormal(entry, ray);
      } else {
        float before = t;
        for (int i = 0; i < 1600 && t < end; i++) {
          before = t;
          t += value < 0.02 ? 1.0 : 0.35 + 0.5 * (0.5 - value);
          value = field(eye + ray * min(t, end));
          if (value > LEVEL) { hit = true; break; }
        }
        if (hit) {
          t = min(t, end);
          for (int i = 0; i < 4; i++) {
            float middle = 0.5 * (before + t);
            if (field(eye + ray * middle) > LEVEL) t = middle; else before = middle;
          }
          normal = -normalize(gradient(eye + ray * t) + 1e-6 * ray);
        }
      }
    }
  }

  float frontLine = edge(eye + ray * cell.x, cell.x), backLine = edge(eye + ray * cell.y, cell.y);
  if (!hit) {
    float alpha = max(0.55 * frontLine, 0.3 * backLine);
    color = vec4(line * alpha, alpha) * inside_view();
    return;
  }
  vec3 p = eye + ray * t;
  // Ambient occlusion from the volume's own mip levels: how much stiff phase lies ahead of the surface.
  vec3 ahead = p + normal * 1.8, further = p + normal * 4.5;
  float crowd = 0.6 * level(ahead, 1.0) + 0.4 * level(further, 2.0);
  bool inside = onCut || any(lessThan(ahead, low)) || any(greaterThan(ahead, high));
  float open = inside ? 1.0 : clamp(1.2 - 1.15 * crowd, 0.0, 1.0);
  float depth = clamp((t - cell.x) / (0.9 * max(size.x, max(size.y, size.z))), 0.0, 1.0);
  open *= onCut ? 1.0 : 1.0 - 0.45 * depth;

  vec3 key = basis * normalize(vec3(-0.5, 0.75, -0.65)), rim = basis * normalize(vec3(0.9, -0.1, -0.3));
  float light = 0.56 + 0.44 * max(dot(normal, key), 0.0) + 0.16 * max(dot(normal, rim), 0.0) + 0.06 * normal.z;
  float shine = pow(max(dot(normal, normalize(key - ray)), 0.0), 32.0) * (onCut ? 0.0 : 0.14);
  vec3 base = onCut ? cut : stiff;
  float marked = textureLod(volume, ((p - 0.5 * normal) / period).zyx, 0.0).b;
  base = mix(base, accent, 0.85 * smoothstep(0.35, 0.65, marked));
  if (voxels) {  // a fine seam between voxels
    vec3 gap = abs(fract(p) - 0.5) * (1.0 - abs(normal));
    float seam = max(gap.x, max(gap.y, gap.z));
    float width = min(pixel * t, 0.25);
    base *= 1.0 - 0.16 * smoothstep(0.5 - 1.5 * width, 0.5 - 0.4 * width, seam) * (1.0 - smoothstep(0.1, 0.25, width));
  }
  vec3 lit = mix(shade * base, base, open) * light + shine * open;
  lit = mix(lit, line, 0.5 * edge(eye + ray * cell.x, cell.x) * step(t, cell.x + 1.0));
  color = vec4(min(lit, 1.0), 1.0) * inside_view();
}`;

class Renderer {
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

  dispose() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
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
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.RGB8, shape[2], shape[1], shape[0], 0, gl.RGB, gl.UNSIGNED_BYTE, texels);
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

// Bits to three bytes a voxel: the phase under a periodic 1-4-1 filter along each axis, whose level set at one half is
// the smooth surface; the phase; and whether the voxel is marked.
function smoothed(bits, marks, shape) {
  const count = shape[0] * shape[1] * shape[2];
  const phase = new Float32Array(count);
  for (let i = 0; i < count; i++) phase[i] = (bits[i >> 3] >> (7 - (i & 7))) & 1;
  let field = phase;
  let stride = count;
  for (const length of shape) {
    const block = stride;
    stride = block / length;
    const next = new Float32Array(count);
    for (let start = 0; start < count; start += block) {
      for (let k = 0; k < length; k++) {
        const here = start + k * stride;
        const left = start + ((k + length - 1) % length) * stride;
        const right = start + ((k + 1) % length) * stride;
        for (let i = 0; i < stride; i++) next[here + i] = (field[left + i] + 4 * field[here + i] + field[right + i]) / 6;
      }
    }
    field = next;
  }
  const texels = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) {
    texels[3 * i] = Math.round(255 * field[i]);
    texels[3 * i + 1] = 255 * phase[i];
    if (marks) texels[3 * i + 2] = 255 * ((marks[i >> 3] >> (7 - (i & 7))) & 1);
  }
  return texels;
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

function make(name, className, parent) {
  const element = document.createElement(name);
  if (className) element.className = className;
  parent?.append(element);
  return element;
}

function makeButton(label, title, parent) {
  const button = make("button", "", parent);
  button.type = "button";
  button.textContent = label;
  if (title) {
    button.title = title;
    button.setAttribute("aria-label", title);
  }
  return button;
}

function makeGizmo(parent) {
  const space = "http://www.w3.org/2000/svg";
  const image = document.createElementNS(space, "svg");
  image.setAttribute("viewBox", "0 0 44 44");
  image.setAttribute("class", "gizmo");
  image.setAttribute("aria-hidden", "true");
  parent.append(image);
  return ["x", "y", "z"].map((name) => {
    const line = document.createElementNS(space, "line");
    line.setAttribute("x1", 22);
    line.setAttribute("y1", 22);
    line.setAttribute("class", name);
    const text = document.createElementNS(space, "text");
    text.setAttribute("class", name);
    text.textContent = name;
    image.append(line, text);
    return { line, text };
  });
}

function setLabel(button, label, title) {
  button.textContent = label;
  button.title = title;
  button.setAttribute("aria-label", title);
}

function parseColor(text, fallback) {
  const hex = /^#([0-9a-f]{6})/i.exec((text ?? "").trim());
  if (hex) return [0, 2, 4].map((at) => parseInt(hex[1].slice(at, at + 2), 16) / 255);
  const parts = /^rgba?\(([^)]*)\)/.exec((text ?? "").trim());
  return parts ? parts[1].split(/[ ,/]+/).slice(0, 3).map((value) => Number(value) / 255) : fallback;
}

function nextFrame() {
  // A hidden tab gets no animation frames: it draws when it is seen again.
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
