// The outline editor's hand; outline.js stands before it. Enters, as properties from editor.py: picture (address of the
// image), size_px [width, height], model_outlines (what Reset returns to), words, and value: JSON
// {shown, lesions: [{points_xy: [[x, y], ...]}, ...]}. Leaves: value, after every change. Points are in the image's own
// pixels whatever the zoom, (0, 0) being the centre of the first pixel: what is drawn is what is saved. Gradio takes a
// name in quotes here for an event: no property's name but value may stand in quotes.
const REACH_PX = { mouse: 9, pen: 14, touch: 22 }; // how near a pointer must come to a point, on the screen
const ZOOM_STEP = 1.5;
const MAX_ZOOM = 16;
const MIN_POINTS = 3;
const TWICE_MS = 400; // two presses of a point within this time remove it
const { words } = props;

// What is edited, and how it is seen.
let shown, width, height;
let lesions = []; // one list of [x, y] a lesion
let past = [], future = []; // lesions as JSON
let chosen = { lesion: 0, point: -1 };
let view = { x: 0, y: 0, zoom: 1 }; // upper left corner in image pixels
let drawing = false; // whether the next stroke is a new lesion
let stroke = null; // that stroke
let note = "";

// Page elements, made once.
const make = (name, attributes, parent) => {
  const svg = ["svg", "image", "polygon", "polyline", "circle", "text", "g"].includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return parent.appendChild(node);
};
const root = element.querySelector(".outline-editor");
const bar = make("div", { class: "tools", role: "toolbar", "aria-label": words.toolbar }, root);
const svg = make("svg", { tabindex: 0, role: "application", "aria-label": words.canvas }, root);
const picture = make("image", { preserveAspectRatio: "none" }, svg);
const layer = make("g", {}, svg);
const status = make("p", { class: "status", role: "status" }, root);
const help = make("details", { class: "help" }, root);
make("summary", {}, help).textContent = words.help_heading;
make("p", {}, help).textContent = words.help;

const actions = {
  draw: () => { drawing = !drawing; },
  smooth: () => change(() => { lesions[chosen.lesion] = smoothed(lesions[chosen.lesion]).map(inside); }),
  delete_point: () => removePoint(chosen.point),
  delete_lesion: () => change(() => { lesions.splice(chosen.lesion, 1); chosen = { lesion: 0, point: -1 }; }),
  undo: () => travel(past, future),
  redo: () => travel(future, past),
  reset: () => change(() => { lesions = structuredClone(props.model_outlines); chosen = { lesion: 0, point: -1 }; }),
  zoom_in: () => zoomBy(ZOOM_STEP),
  zoom_out: () => zoomBy(1 / ZOOM_STEP),
};
const buttons = {};
for (const [name, action] of Object.entries(actions)) {
  buttons[name] = make("button", { type: "button", "data-tool": name }, bar);
  buttons[name].textContent = words[name];
  buttons[name].addEventListener("click", () => { note = ""; action(); draw(); });
}

// Changes: each is one step of undo, and goes out at once.
const rounded = ([x, y]) => [x, y].map((value) => Math.round(value * 100) / 100);
const inside = ([x, y]) => [Math.min(Math.max(x, -0.5), width - 0.5), Math.min(Math.max(y, -0.5), height - 0.5)];

function remember() {
  past.push(JSON.stringify(lesions));
  future = [];
}
function send() {
  lesions = lesions.map((points) => points.map(rounded));
  props.value = JSON.stringify({ shown, lesions: lesions.map((points_xy) => ({ points_xy })) });
  trigger("input");
}
function change(action) {
  remember();
  action();
  send();
}
function travel(from, to) {
  if (!from.length) return;
  to.push(JSON.stringify(lesions));
  lesions = JSON.parse(from.pop());
  chosen = { lesion: Math.min(chosen.lesion, Math.max(lesions.length - 1, 0)), point: -1 };
  send();
}
function removePoint(index) {
  const points = lesions[chosen.lesion];
  if (!points || !points[index]) return;
  if (points.length <= MIN_POINTS) { note = words.too_few_points; return; }
  change(() => { points.splice(index, 1); chosen.point = Math.min(index, points.length - 1); });
}

// Seeing: the view box is the part of the image on the screen.
const scale = () => svg.getScreenCTM()?.a || 1; // screen pixels for one image pixel
const place = (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [x, y];
};
function zoomBy(factor, [x, y] = [view.x + width / view.zoom / 2, view.y + height / view.zoom / 2]) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MAX_ZOOM);
  const kept = view.zoom / zoom; // the given place stays where it is on the screen
  moveView(x - (x - view.x) * kept, y - (y - view.y) * kept, zoom);
}
function moveView(x, y, zoom = view.zoom) {
  const within = (value, size) => Math.min(Math.max(value, -0.5), size - size / zoom - 0.5);
  view = { x: within(x, width), y: within(y, height), zoom };
}

function draw() {
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${width / view.zoom} ${height / view.zoom}`);
  const focused = layer.contains(document.activeElement) ? document.activeElement.dataset.part : null;
  layer.replaceChildren();
  lesions.forEach((points, i) => {
    const current = i === chosen.lesion;
    const corners = { points: points.map((point) => point.join()).join(" ") };
    make("polygon", { ...corners, class: "rim" }, layer);
    const name = words.lesion.replace("{number}", i + 1).replace("{points}", points.length);
    const line = make("polygon", { ...corners, class: current ? "line current" : "line", role: "button" }, layer);
    line.setAttribute("aria-label", name);
    line.dataset.part = `lesion ${i}`;
    if (!current) line.setAttribute("tabindex", 0);
  });
  (lesions[chosen.lesion] || []).forEach(([x, y], i) => {
    const radius = (i === chosen.point ? 6.5 : 4.5) / scale();
    const dot = make("circle", { cx: x, cy: y, r: radius, tabindex: 0, role: "button" }, layer);
    if (i === chosen.point) dot.classList.add("current");
    dot.dataset.part = `point ${i}`;
    dot.setAttribute("aria-label", words.point.replace("{number}", i + 1).replace("{x}", x).replace("{y}", y));
  });
  if (stroke) make("polyline", { points: stroke.map((point) => point.join()).join(" "), class: "line" }, layer);
  if (focused) { // the focus must not fall off the picture with the point it was on
    const part = focused.startsWith("point") ? `point ${chosen.point}` : focused;
    ([...layer.children].find((node) => node.dataset.part === part) || svg).focus({ preventScroll: true });
  }

  root.classList.toggle("drawing", drawing);
  root.classList.toggle("zoomed", view.zoom > 1);
  buttons.draw.setAttribute("aria-pressed", drawing);
  buttons.smooth.disabled = buttons.delete_lesion.disabled = !lesions.length;
  buttons.delete_point.disabled = chosen.point < 0;
  buttons.undo.disabled = !past.length;
  buttons.redo.disabled = !future.length;
  buttons.reset.disabled = JSON.stringify(lesions) === JSON.stringify(props.model_outlines);
  buttons.zoom_out.disabled = view.zoom <= 1;
  buttons.zoom_in.disabled = view.zoom >= MAX_ZOOM;
  const count = lesions.length === 0 ? words.no_lesion : lesions.length === 1 ? words.one_lesion : words.lesions;
  const zoom = words.zoom.replace("{percent}", Math.round(100 * view.zoom));
  status.textContent = [note, drawing && words.drawing, count.replace("{count}", lesions.length), zoom]
    .filter(Boolean).join(" ");
}

// Hands: what lies under the pointer, and what a drag does with it.
function under(at, reach) {
  const near = { distance: reach / scale() };
  (lesions[chosen.lesion] || []).forEach((point, index) => {
    const distance = Math.hypot(point[0] - at[0], point[1] - at[1]);
    if (distance < near.distance) Object.assign(near, { lesion: chosen.lesion, index, distance });
  });
  if (near.lesion !== undefined) return near; // a point goes before the line it lies on
  lesions.forEach((points, lesion) => points.forEach((point, i) => {
    const found = nearestOn(point, points[(i + 1) % points.length], at);
    if (found.distance < near.distance) Object.assign(near, { ...found, lesion, after: i });
  }));
  return near;
}
const pointers = new Map(); // pointer id -> event: two of them pinch
let drag = null; // how the one pointer's moves are taken
let pressed = {}; // the point pressed last: not the browser's double click, which a redrawn point does not get

svg.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pointers.set(event.pointerId, event);
  svg.setPointerCapture(event.pointerId);
  note = "";
  const start = place(event);
  if (pointers.size > 1) {
    if (drag?.edits?.()) send(); // what is on the screen is what is saved
    drag = stroke = null;
  } else if (drawing) {
    stroke = [inside(start)];
    drag = (at) => stroke.push(inside(at));
  } else {
    const hit = under(start, REACH_PX[event.pointerType] || REACH_PX.mouse);
    if (hit.lesion === undefined) {
      drag = (at) => moveView(view.x + start[0] - at[0], view.y + start[1] - at[1]);
    } else if (hit.lesion !== chosen.lesion) {
      chosen = { lesion: hit.lesion, point: -1 }; // the first click only chooses
    } else if (hit.index !== undefined && hit.index === pressed.index && event.timeStamp - pressed.at < TWICE_MS) {
      pressed = {};
      removePoint(hit.index);
    } else {
      let fresh = true; // a click alone changes nothing
      pressed = { index: hit.index, at: event.timeStamp };
      if (hit.index === undefined) {
        remember();
        fresh = false;
        hit.index = hit.after + 1;
        lesions[hit.lesion].splice(hit.index, 0, hit.point);
      }
      chosen = { lesion: hit.lesion, point: hit.index };
      const [x, y] = lesions[hit.lesion][hit.index];
      drag = (at) => {
        if (fresh) remember();
        fresh = false;
        pressed = {};
        lesions[hit.lesion][hit.index] = inside([x + at[0] - start[0], y + at[1] - start[1]]);
      };
      drag.edits = () => !fresh;
    }
  }
  draw();
  if (drag?.edits) layer.querySelector("circle.current").focus({ preventScroll: true });
  event.preventDefault(); // or the browser moves the focus away again
});
svg.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) {
    svg.style.cursor = !drawing && under(place(event), REACH_PX.mouse).lesion !== undefined ? "pointer" : "";
    return;
  }
  const before = [...pointers.values()];
  pointers.set(event.pointerId, event);
  const after = [...pointers.values()];
  const gap = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
  if (after.length === 2) zoomBy(gap(after) / gap(before), place(event));
  else if (drag) drag(place(event));
  draw();
});
function release(event) {
  if (!pointers.delete(event.pointerId) || pointers.size) return;
  if (stroke) {
    const points = simplified(stroke, 1 / scale());
    const [[x, y], end] = [points[0], points.at(-1)];
    if (Math.hypot(end[0] - x, end[1] - y) < REACH_PX.touch / scale()) points.pop(); // back where it began
    stroke = null;
    drawing = false;
    if (points.length >= MIN_POINTS) addLesion(points);
    else note = words.stroke_too_short;
  } else if (drag?.edits?.()) send();
  drag = null;
  draw();
}
svg.addEventListener("pointerup", release);
svg.addEventListener("pointercancel", release);
svg.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return; // the page scrolls; a pinch on a touchpad arrives with ctrlKey
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 200), place(event));
  draw();
}, { passive: false });
function addLesion(points) {
  change(() => { chosen = { lesion: lesions.push(points) - 1, point: -1 }; });
}

// Keys.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
svg.addEventListener("focusin", (event) => {
  const [part, index] = (event.target.dataset.part || "").split(" ");
  if (part !== "point" || chosen.point === +index) return;
  chosen.point = +index;
  draw();
});
root.addEventListener("keydown", (event) => {
  const [part, index] = (event.target.dataset.part || "").split(" ");
  const points = lesions[chosen.lesion];
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  note = "";
  if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
    actions[key === "y" || event.shiftKey ? "redo" : "undo"]();
  } else if (part === "point" && ARROWS[key]) {
    const [dx, dy] = ARROWS[key].map((step) => step * (event.shiftKey ? 10 : 1));
    change(() => { points[index] = inside([points[index][0] + dx, points[index][1] + dy]); });
  } else if (part === "point" && (key === "Delete" || key === "Backspace")) {
    removePoint(+index);
  } else if (part === "point" && key === "Insert") {
    const next = points[(+index + 1) % points.length];
    change(() => points.splice(+index + 1, 0, [(points[index][0] + next[0]) / 2, (points[index][1] + next[1]) / 2]));
  } else if (part === "lesion" && (key === "Enter" || key === " ")) {
    chosen = { lesion: +index, point: -1 };
  } else if (event.target === svg && drawing && key === "Enter") { // a lesion without a pointer: a ring in the middle
    const [x, y, radius] = [view.x + width / view.zoom / 2, view.y + height / view.zoom / 2, height / view.zoom / 6];
    const angles = [...Array(12).keys()].map((i) => (i * Math.PI) / 6);
    drawing = false;
    addLesion(angles.map((angle) => inside([x + radius * Math.cos(angle), y + radius * Math.sin(angle)])));
  } else if (key === "Escape" && drawing) {
    drawing = false;
    stroke = drag = null;
  } else return;
  event.preventDefault();
  draw();
});

// Coming and going: a new value from the server is a new picture, or the same one with other outlines.
function load() {
  const value = JSON.parse(props.value || "{}");
  const fresh = value.shown !== shown;
  if (!fresh) remember(); // the server mended the outlines: undo brings the former ones back
  shown = value.shown;
  [width, height] = props.size_px;
  lesions = (value.lesions || []).map(({ points_xy }) => points_xy);
  chosen = { lesion: 0, point: -1 };
  if (fresh) [past, future, drawing, view] = [[], [], false, { x: -0.5, y: -0.5, zoom: 1 }];
  for (const [key, of] of Object.entries({ href: props.picture, x: -0.5, y: -0.5, width, height })) {
    picture.setAttribute(key, of);
  }
  svg.style.aspectRatio = `${width} / ${height}`;
  draw();
}
watch("value", load);
new ResizeObserver(draw).observe(svg);
load();
