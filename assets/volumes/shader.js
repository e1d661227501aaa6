// Shader of a two-phase volume: a ray marched through a 3D texture.

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
