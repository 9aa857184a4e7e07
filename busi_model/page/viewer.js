// The viewer. Enters: props.value as `viewer.py` describes it, with points in frame pixels. Leaves: two SVG pictures of
// one view (the frame alone, the frame with what was found) and the events "explain" and "mark". All words come from
// the markup. Gradio runs this file once, with element, trigger, props and watch given.
const SVG = "http://www.w3.org/2000/svg";
const root = element.querySelector(".viewer");
const stages = root.querySelector(".stages");
const svgs = [...root.querySelectorAll("svg")]; // original, overlay
const [originalSvg, overlaySvg] = svgs;
const note = root.querySelector(".note");
const form = root.querySelector("form");
const forget = root.querySelector(".forget");
const buttons = Object.fromEntries([...root.querySelectorAll("[data-do]")].map((b) => [b.dataset.do, b]));
const PLAIN = { level: 127.5, width: 255 }; // the window that shows gray levels as they are
const FOUND = ["outline", "margin", "axes", "explain"]; // layers that need a result
const on = { outline: true, margin: false, axes: false, explain: false, beside: false, keys: true };
let data = { turn: -1, case: null, image: null };
let mode = null; // "window", "scale" or null: move
let view = { x: 0, y: 0, zoom: 1, fitted: true }; // frame pixel in the middle, screen pixels a frame pixel
let gray = { ...PLAIN };
let marks = []; // ends of the known length, frame pixels

const make = (name, attributes = {}, ...children) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const path = (lines, close) =>
  lines.map((line) => "M" + line.map((p) => p.join(" ")).join("L") + (close ? "Z" : "")).join("");
const words = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), root.dataset[name]);
const url = (file) => window.busiPictures?.get(file.path) || file.url || file.path; // fetched ahead by worklist.js
const stroke = (d) => ["halo", "line"].map((name) => make("path", { class: name, d })); // a line with a dark rim

// Drawing: `draw` builds everything once for new data; `place` moves it for a new view.

function picture(svg) {
  const id = `window-${svg === overlaySvg ? "overlay" : "original"}`;
  const levels = ["R", "G", "B"].map((c) => make(`feFunc${c}`, { type: "linear" }));
  const filter = make("filter", { id, x: 0, y: 0, width: 1, height: 1, "color-interpolation-filters": "sRGB" },
    make("feComponentTransfer", {}, ...levels));
  // Pixel centres are whole numbers, so the picture begins half a pixel before 0.
  const image = make("image", { class: "frame", href: url(data.image), x: -0.5, y: -0.5,
    width: data.width, height: data.height, preserveAspectRatio: "none" });
  svg.replaceChildren(filter, image);
  svg.setAttribute("aria-label", data.alt);
}

function draw() {
  svgs.forEach(picture);
  originalSvg.setAttribute("aria-label", root.querySelector(".original figcaption").textContent);
  if (data.heat) {
    overlaySvg.append(make("image", { class: "explain", href: url(data.heat), x: -0.5, y: -0.5,
      width: data.width, height: data.height, preserveAspectRatio: "none" }));
  }
  const margin = make("g", { class: "margin" });
  const outline = make("g", { class: "outline" });
  const axes = make("g", { class: "axes" });
  const band = path(data.band, true);
  margin.append(make("path", { class: "area", d: band }), make("path", { class: "edge", d: band }));
  data.lesions.forEach((lesion, index) => {
    outline.append(...stroke(path([lesion.outline], true)));
    axes.append(...stroke(path(lesion.axes, false)), ...lesion.axes.flat().map(cross));
    const right = lesion.outline.reduce((best, p) => (p[0] > best[0] ? p : best));
    const text = make("text", { "data-x": right[0], "data-y": right[1], x: 6, y: 5 }, String(index + 1));
    outline.append(text);
  });
  overlaySvg.append(margin, axes, outline, make("g", { class: "marks" }));
  place();
}

// A small cross that keeps its size on the screen at every zoom.
function cross(p) {
  return make("g", { class: "cross", "data-x": p[0], "data-y": p[1] }, ...stroke("M-6 0H6M0 -6V6"));
}

function place() {
  if (!data.image) return;
  const { clientWidth: w, clientHeight: h } = overlaySvg;
  if (!w || !h) return;
  if (view.fitted) {
    view = { x: data.width / 2 - 0.5, y: data.height / 2 - 0.5, fitted: true,
      zoom: Math.min(w / data.width, h / data.height) };
  }
  root.classList.toggle("zoomed", !view.fitted);
  const box = [view.x - w / 2 / view.zoom, view.y - h / 2 / view.zoom, w / view.zoom, h / view.zoom].join(" ");
  const slope = 255 / gray.width;
  for (const svg of svgs) {
    svg.setAttribute("viewBox", box);
    const image = svg.querySelector(".frame");
    svg.querySelectorAll("filter feComponentTransfer > *").forEach((node) => {
      node.setAttribute("slope", slope);
      node.setAttribute("intercept", 0.5 - (slope * gray.level) / 255);
    });
    const plain = gray.level === PLAIN.level && gray.width === PLAIN.width;
    plain ? image.removeAttribute("filter") : image.setAttribute("filter", `url(#${svg.querySelector("filter").id})`);
  }
  const length = marks.length === 2 ? stroke(path([marks])) : [];
  overlaySvg.querySelector(".marks").replaceChildren(...length, ...marks.map(cross));
  for (const node of overlaySvg.querySelectorAll("[data-x]")) {
    node.setAttribute("transform", `translate(${node.dataset.x} ${node.dataset.y}) scale(${1 / view.zoom})`);
  }
  root.querySelector("output").textContent = words("zoom", { zoom: Math.round(100 * view.zoom) });
}

// What is on and off, in the picture, on the buttons and in the status line.
function refresh() {
  for (const [name, button] of Object.entries(buttons)) {
    if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", String(on[name] || mode === name));
    button.disabled = name !== "keys" && !(FOUND.includes(name) ? data.done : data.image);
  }
  for (const name of FOUND) root.classList.toggle(`show-${name}`, on[name]);
  root.classList.toggle("beside", on.beside);
  root.querySelector(".original").hidden = !on.beside;
  root.classList.toggle("empty", !data.image);
  stages.dataset.mode = mode || "move";
  form.hidden = marks.length < 2;
  forget.hidden = !data.scaled || mode === "scale";
  let text = data.note || "";
  if (mode === "scale") text = marks.length < 2 ? words(marks.length ? "second" : "first") : "";
  else if (mode === "window") text = words("window", { level: Math.round(gray.level), width: Math.round(gray.width) });
  else if (on.explain) text = data.heat ? data.heat_note : data.note || words("explaining");
  else if (on.margin && data.lesions?.length) text = words(data.band.length ? "margin" : "nomargin");
  if (note.textContent !== text) note.textContent = text;
  place();
}

watch("value", () => {
  if (!props.value || props.value.turn < data.turn) return; // an answer to an earlier image
  const before = data;
  data = props.value;
  if (data.case !== before.case) {
    [view, gray, marks, mode] = [{ fitted: true }, { ...PLAIN }, [], null];
    on.explain = false;
  }
  if (data.image) {
    stages.style.setProperty("--ratio", data.width / data.height);
    draw();
  } else svgs.forEach((svg) => svg.replaceChildren());
  refresh();
});

// Actions, each reached by a button and a key.

function act(name) {
  if (buttons[name]?.disabled) return;
  if (name === "window" || name === "scale") {
    mode = mode === name ? null : name;
    marks = [];
    if (mode === "scale") overlaySvg.focus({ preventScroll: true });
  } else if (name === "fit") view.fitted = true;
  else if (name === "full") zoomAt(1 / view.zoom);
  else if (name === "reset") [view, gray, marks, mode] = [{ fitted: true }, { ...PLAIN }, [], null];
  else on[name] = !on[name];
  if (name === "explain" && on.explain && !data.heat) trigger("explain", { case: data.case });
  refresh();
}

function zoomAt(factor, at = [view.x, view.y]) {
  const zoom = Math.min(40, Math.max(0.05, view.zoom * factor));
  const keep = 1 - view.zoom / zoom; // the frame pixel under the pointer stays there
  view = { x: view.x + (at[0] - view.x) * keep, y: view.y + (at[1] - view.y) * keep, zoom, fitted: false };
}

function shift(dx, dy) {
  view = { ...view, x: view.x - dx / view.zoom, y: view.y - dy / view.zoom, fitted: false };
}

function adjust(dx, dy) {
  gray.width = Math.min(1000, Math.max(10, gray.width - dx)); // right: more contrast
  gray.level = Math.min(255, Math.max(0, gray.level + dy)); // up: brighter
}

function mark(p) {
  if (marks.length === 2) marks = [];
  marks.push(p.map((v) => Math.round(100 * v) / 100));
  refresh();
  if (marks.length === 2) form.querySelector("input").focus();
}

// Screen position of an event -> frame pixels, by the picture it is in.
function framePoint(event) {
  const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(event.currentTarget.getScreenCTM().inverse());
  return [p.x, p.y];
}

const held = new Map(); // pointers that are down: id -> last position
let moved = 0; // screen pixels since the first went down
let windowing = false; // the right button drags brightness in any mode

for (const svg of svgs) {
  svg.addEventListener("pointerdown", (event) => {
    if (!data.image) return;
    svg.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [event.clientX, event.clientY]);
    if (held.size === 1) [moved, windowing] = [0, event.button === 2 || mode === "window"];
  });
  svg.addEventListener("pointermove", (event) => {
    const last = held.get(event.pointerId);
    if (!last) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - last[0], now[1] - last[1]];
    moved += Math.hypot(dx, dy);
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const distance = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      zoomAt(distance(now) / distance(last), framePoint(event));
    } else windowing ? adjust(dx, dy) : shift(dx, dy);
    held.set(event.pointerId, now);
    refresh();
  });
  svg.addEventListener("pointerup", (event) => {
    if (held.delete(event.pointerId) && mode === "scale" && moved < 5 && event.button === 0) mark(framePoint(event));
  });
  svg.addEventListener("pointercancel", (event) => held.delete(event.pointerId));
  svg.addEventListener("contextmenu", (event) => event.preventDefault());
  svg.addEventListener("dblclick", () => mode || act("fit"));
  svg.addEventListener("wheel", (event) => {
    if (!data.image) return;
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 400), framePoint(event));
    refresh();
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (way) mode === "window" ? adjust(-way[0] / 5, -way[1] / 5) : shift(...way);
    else if (event.key === "Enter" && mode === "scale") mark([view.x, view.y]);
    else return;
    event.preventDefault();
    refresh();
  });
}

root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) act(button.dataset.do);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  trigger("mark", { case: data.case, start: marks[0], end: marks[1], mm: Number(form.querySelector("input").value) });
  [marks, mode] = [[], null];
  form.reset();
  refresh();
  overlaySvg.focus({ preventScroll: true });
});
forget.addEventListener("click", () => trigger("mark", { case: data.case }));

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && mode) [marks, mode] = [[], null], refresh();
  const typing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !on.keys || !root.offsetParent) return;
  const button = root.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button) act(button.dataset.do);
  else if (event.key === "+" || event.key === "-") zoomAt(event.key === "+" ? 1.25 : 0.8), refresh();
  else return;
  event.preventDefault();
});
new ResizeObserver(place).observe(overlaySvg);
refresh();
