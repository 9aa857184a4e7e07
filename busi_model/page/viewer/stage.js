// The picture on the screen: two stages of one view (the frame alone, the frame with what was found), each a canvas with
// the picture under an SVG with the lines; zoom, movement, gray window. The files of this folder are put together, in the order of component.py, into one function
// that Gradio runs once with element, trigger, props and watch given. Points are [x, y] in frame pixels, pixel centres
// being whole numbers. All words come from the markup. Gradio takes a name in quotes here for an event of the
// component.
const SVG = "http://www.w3.org/2000/svg";
const root = element.querySelector(".viewer");
const stages = root.querySelector(".stages");
const svgs = [...root.querySelectorAll(".stage svg")];
const [originalSvg, overlaySvg] = svgs;
const [originalCanvas, overlayCanvas] = root.querySelectorAll("canvas.frame");
const filter = root.querySelector("filter"); // the gray window; its id is our own: several viewers stand in one document
filter.id = `window-${Math.random().toString(36).slice(2)}`;
const LARGEST = 16e6; // pixels of a canvas on an iPad
const PLAIN = { level: 127.5, width: 255 }; // the window that shows gray levels as they are
const ZOOMS = [0.05, 40];
let data = { turn: -1, case: null, image: null }; // what result.py describes
let view = { x: 0, y: 0, zoom: 1, fitted: true }; // frame pixel in the middle, screen pixels a frame pixel
let gray = { ...PLAIN };
let wanted = null; // address of the picture that is to be seen; what is seen stands in data-href of the canvas
let asks = 0; // how often one was asked for
let newest = 0; // the ask that was answered last

const make = (name, attributes = {}, ...children) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const path = (lines, close) =>
  lines.map((line) => "M" + line.map((p) => p.join(" ")).join("L") + (close ? "Z" : "")).join("");
const words = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), root.dataset[name] || "");
const url = (file) => file.url || file.path;
const rimmed = (d) => (d ? ["halo", "line"] : []).map((name) => make("path", { class: name, d })); // with a dark rim
const rounded = (p) => p.map((value) => Math.round(value * 100) / 100);
const inside = ([x, y]) =>
  [Math.min(Math.max(x, -0.5), data.width - 0.5), Math.min(Math.max(y, -0.5), data.height - 0.5)];
// A small cross, or a text, that keeps its size on the screen at every zoom.
const cross = (p) => make("g", { class: "cross", "data-x": p[0], "data-y": p[1] }, ...rimmed("M-6 0H6M0 -6V6"));
function label(p, text, x = 6, y = 5) {
  const node = make("text", { "data-x": p[0], "data-y": p[1], x, y });
  node.textContent = text;
  return node;
}

// Another image: nothing is seen until it is there.
function newPicture() {
  const scale = Math.min(1, Math.sqrt(LARGEST / (data.width * data.height)));
  for (const canvas of [originalCanvas, overlayCanvas]) {
    [canvas.width, canvas.height] = [data.width * scale, data.height * scale];
    [canvas.style.width, canvas.style.height] = [`${data.width}px`, `${data.height}px`];
    delete canvas.dataset.href;
  }
  [wanted, newest] = [null, asks];
}
// The picture at this address, drawn as soon as it is there, unless a later one is there already. On a canvas, since
// browsers keep every decoded <image> for as long as the tab lives: 100 pictures of 600 x 500 took 160 MB.
async function show(href, file = {}) {
  if (href === wanted) return;
  wanted = href;
  const ask = ++asks;
  const ahead = window.busiPictures?.get(file.path); // by worklist.js
  if (ahead) return paint(ask, ahead, href);
  try {
    const bitmap = await createImageBitmap(await (await fetch(href)).blob());
    paint(ask, bitmap, href);
    bitmap.close();
  } catch { /* the connection is lost, or the picture gone: the next answer asks again */ }
}
function paint(ask, source, href) {
  if (ask <= newest) return;
  newest = ask;
  copy(overlayCanvas, source, href);
  if (on.beside) copy(originalCanvas, source, href);
}
function copy(canvas, source, href) {
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  canvas.dataset.href = href;
}
// Pixel centres are whole numbers, so the picture begins half a pixel before 0.
const layerImage = (name, href) => make("image",
  { class: name, href, x: -0.5, y: -0.5, width: data.width, height: data.height, preserveAspectRatio: "none" });

function place() {
  if (!data.image) return;
  const { width: w, height: h } = overlaySvg.getBoundingClientRect(); // not rounded: 100 % is exact, and so a mark
  if (!w || !h) return;
  if (view.fitted) {
    view = { x: data.width / 2 - 0.5, y: data.height / 2 - 0.5, fitted: true,
      zoom: Math.min(w / data.width, h / data.height) };
  }
  root.classList.toggle("zoomed", !view.fitted);
  const box = [view.x - w / 2 / view.zoom, view.y - h / 2 / view.zoom, w / view.zoom, h / view.zoom].join(" ");
  const slope = 255 / gray.width;
  const plain = gray.level === PLAIN.level && gray.width === PLAIN.width;
  filter.querySelectorAll("feComponentTransfer > *").forEach((node) => {
    node.setAttribute("slope", slope);
    node.setAttribute("intercept", 0.5 - (slope * gray.level) / 255);
  });
  for (const svg of svgs) svg.setAttribute("viewBox", box);
  const left = w / 2 - (view.x + 0.5) * view.zoom; // pixel centres are whole numbers
  const top = h / 2 - (view.y + 0.5) * view.zoom;
  for (const canvas of [originalCanvas, overlayCanvas]) {
    canvas.style.transform = `translate(${left}px, ${top}px) scale(${view.zoom})`;
    canvas.style.filter = plain ? "" : `url(#${filter.id})`;
  }
  for (const node of overlaySvg.querySelectorAll("[data-x]")) {
    node.setAttribute("transform", `translate(${node.dataset.x} ${node.dataset.y}) scale(${1 / view.zoom})`);
  }
  for (const node of overlaySvg.querySelectorAll("circle[data-r]")) node.setAttribute("r", node.dataset.r / view.zoom);
  root.querySelector("output").textContent = words("zoom", { zoom: Math.round(100 * view.zoom) });
}

function zoomAt(factor, at = [view.x, view.y]) {
  const zoom = Math.min(ZOOMS[1], Math.max(ZOOMS[0], view.zoom * factor));
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
// The same part of another frame: what a reader keeps from image to image.
function carriedView(before) {
  if (view.fitted) return view;
  const share = data.width / before.width;
  return { ...view, zoom: view.zoom / share, x: (view.x + 0.5) * share - 0.5,
    y: (view.y + 0.5) * (data.height / before.height) - 0.5 };
}
// Screen position of an event -> frame pixels, by the picture it is in.
function framePoint(event, svg = overlaySvg) {
  const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [p.x, p.y];
}
