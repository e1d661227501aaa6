// Colours of a volume on a light or a dark page.

// `mix`: how much of a cut face has the colour of its mode; `accent`: marked voxels.
const LIGHT = { stiff: [0.8, 0.84, 0.88], shade: [0.26, 0.32, 0.43], line: [0.3, 0.37, 0.45], accent: [0.9, 0.45, 0.1], mix: 0.6 };
const DARK = { stiff: [0.7, 0.75, 0.8], shade: [0.16, 0.2, 0.28], line: [0.62, 0.7, 0.78], accent: [0.95, 0.55, 0.2], mix: 0.62 };

// Whether a page with this background, as CSS has it, is dark.
function isDark(background) {
  const [red, green, blue] = parseColor(background, [1, 1, 1]);
  return red + green + blue < 1.5;
}

// Colours of a volume whose cut faces are tinted.
function lookOf(dark, tint) {
  const look = dark ? DARK : LIGHT;
  const own = parseColor(tint, look.stiff);
  return { ...look, cut: look.stiff.map((value, i) => value + (own[i] - value) * look.mix) };
}

function parseColor(text, fallback) {
  const hex = /^#([0-9a-f]{6})/i.exec((text ?? "").trim());
  if (hex) return [0, 2, 4].map((at) => parseInt(hex[1].slice(at, at + 2), 16) / 255);
  const parts = /^rgba?\(([^)]*)\)/.exec((text ?? "").trim());
  return parts ? parts[1].split(/[ ,/]+/).slice(0, 3).map((value) => Number(value) / 255) : fallback;
}
