// Text on and under a volume.

function fillCaption(panel, text, unit) {
  const key = JSON.stringify(text);
  if (key === panel.text) return;
  panel.text = key;
  panel.title.textContent = text.title;
  panel.badge.textContent = text.badge;
  panel.badge.hidden = !text.badge;
  panel.card.setAttribute("aria-label", `${text.title} ${text.badge}`);
  panel.figures.hidden = !text.lines.length;
  panel.figures.replaceChildren();
  if (!text.lines.length) return;
  const kinds = text.kinds;
  panel.figures.classList.toggle("pending", text.pending);
  const head = make("tr", "", make("thead", "", panel.figures));
  make("th", "", head).textContent = kinds.length ? text.head : unit;
  text.columns.forEach((column, index) => (make("th", kinds[index] ?? "", head).textContent = column));
  const body = make("tbody", "", panel.figures);
  for (const line of text.lines) {
    const row = make("tr", line.kind, body);
    make("th", "", row).textContent = line.label;
    line.values.forEach((value, index) => (make("td", kinds[index] ?? "", row).textContent = value));
  }
  if (!text.marks.length) return;
  const cell = make("td", "marks", make("tr", "", make("tfoot", "", panel.figures)));
  cell.colSpan = text.columns.length + 1;
  for (const mark of text.marks) {
    make("span", mark.met ? "met" : "unmet", cell).textContent = `${mark.met ? "✓" : "✗ not met:"} ${mark.text}`;
  }
}
