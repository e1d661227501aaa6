// Parts of a page, and what else the gallery and the previews share. Python puts the files of a component one after
// the other: they are one module.

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

function nextFrame() {
  // A hidden tab gets no animation frames: it draws when it is seen again.
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
