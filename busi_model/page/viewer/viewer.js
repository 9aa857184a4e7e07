// The viewer: which tool has the pointer, what a key does, what is on and off. The files before it hold the parts.
const note = root.querySelector(".note");
const buttons = Object.fromEntries([...root.querySelectorAll("[data-do]")].map((b) => [b.dataset.do, b]));
const FOUND = ["outline", "margin", "axes", "explain", "model"]; // layers that need a result
const NEED_RESULT = ["outline", "margin", "axes", "explain", "edit"];
const on = { outline: true, margin: false, axes: false, explain: false, model: false, beside: false, keep: false,
  keys: true };
const tools = { window: null, ruler: rulerTool, scale: scaleTool, crop: cropTool, edit: editTool };
const held = new Map(); // pointers that are down: id -> last position
let drag = null; // how the one pointer's moves are taken: (frame pixel, screen pixels so far, dx, dy) => ...
let travelled = 0; // screen pixels since the first went down
let seen = null; // size of the picture that was shown last
let mode = null; // a name of `tools`, or null: a drag moves the picture

function draw() {
  for (const node of [...overlaySvg.children]) if (!node.matches(".editing, filter")) node.remove();
  originalSvg.setAttribute("aria-label", root.querySelector(".original figcaption").textContent);
  const layers = Object.fromEntries(["margin", "axes", "model", "outline", "calipers", "marks", "crop"]
    .map((name) => [name, make("g", { class: name })]));
  const band = path(data.band || [], true);
  layers.margin.append(make("path", { class: "area", d: band }), make("path", { class: "edge", d: band }));
  for (const lesion of data.lesions || []) layers.axes.append(...rimmed(path(lesion.axes, false)),
    ...lesion.axes.flat().map(cross));
  layers.model.append(...rimmed(path(models(), true)));
  // What is under the hand stays where it is: taken out and put back, it would lose the focus.
  const editing = overlaySvg.querySelector(".editing") || overlaySvg.appendChild(make("g", { class: "editing" }));
  editing.before(...(data.heat ? [layerImage("explain", url(data.heat))] : []), ...Object.values(layers));
}
// Right of an outline; inside it where the picture ends there.
const numberAt = (p, text) => label(p, text, p[0] > 0.95 * data.width ? -10 - 9 * text.length : 6);
// Outlines as they stand: the model's own line in full, or the one under the hand.
function drawOutlines() {
  const layer = overlaySvg.querySelector("g.outline");
  if (!layer) return;
  const asModel = !field && !edited() && measured();
  const lines = asModel ? data.lesions.map((lesion) => lesion.outline) : lesions;
  const numbered = measured() && !field ? data.lesions.map((lesion) => lesion.outline) : lines;
  layer.replaceChildren(...lines.flatMap((points) => rimmed(path([points], true))), ...numbered.map((points, i) =>
    numberAt(points.reduce((best, p) => (p[0] > best[0] ? p : best)), String(i + 1))));
}

// What is on and off, in the picture, on the buttons and in the status line.
function refresh() {
  const usable = Boolean(data.image);
  const changed = usable && (field || data.done) && edited();
  for (const [name, button] of Object.entries(buttons)) {
    if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", String(on[name] || mode === name));
    button.disabled = name !== "keys" && !(NEED_RESULT.includes(name) ? data.done : usable);
  }
  buttons.model.disabled = !changed || !models().length; // not hidden: the picture must not move under the hand
  for (const name of FOUND) root.classList.toggle(`show-${name}`, on[name]);
  root.classList.toggle("beside", on.beside);
  root.classList.toggle("edited", changed && !field);
  root.classList.toggle("measured", measured());
  root.querySelector(".original").hidden = !on.beside;
  const { href } = overlayCanvas.dataset;
  if (on.beside && href && originalCanvas.dataset.href !== href) copy(originalCanvas, overlayCanvas, href);
  root.classList.toggle("empty", !usable);
  stages.dataset.mode = mode || "move";
  overlaySvg.setAttribute("role", mode === "edit" ? "application" : "img");
  overlaySvg.setAttribute("aria-label", mode === "edit" ? words("canvas") : data.alt || words("alt"));
  forget.hidden = !data.scaled || mode === "scale";
  root.querySelector(".badge").hidden = !(changed && !field);
  let text = data.note || "";
  if (tools[mode]) text = tools[mode].status() || text;
  else if (mode === "window") text = words("window", { level: Math.round(gray.level), width: Math.round(gray.width) });
  else if (on.explain && data.done) text = data.heat ? data.heat_note : data.note || words("explaining");
  else if (on.margin && data.lesions?.length) text = words(data.band.length ? "margin" : "nomargin");
  if (note.textContent !== text) note.textContent = text;
  if (usable) {
    drawOutlines();
    drawLines();
    drawCrop();
    drawEdit();
    drawFilm();
  }
  place();
}

function setMode(name) {
  const before = mode;
  mode = name;
  tools[before]?.stop?.();
  tools[mode]?.start?.();
  refresh();
}

// New data: from the panel as the value itself; in a form the value holds the outlines and `scene` the picture.
function load() {
  const packed = field ? props.scene : props.value;
  if (!packed || packed.turn < data.turn) return; // an answer to an earlier image
  if (packed.turn === data.turn && packed.made < data.made) return; // an answer that was overtaken, such as by "judge"
  const scene = { ...packed, ...JSON.parse(packed.rest || "{}") }; // `packed` of component.py
  if (scene.case !== data.case || scene.frame !== data.frame) sendRest();
  const before = data;
  data = scene;
  const sameCase = data.case === before.case;
  const same = sameCase && data.frame === before.frame;
  newFilm(sameCase, data.turn === before.turn);
  if (!sameCase) {
    if (data.image) view = on.keep && seen ? carriedView(seen) : { fitted: true };
    if (!on.keep) gray = { ...PLAIN };
    on.explain = false;
    setModeQuietly(field && data.image ? "edit" : null);
  } else if (!same) on.explain = false;
  if (field) {
    const carried = JSON.parse(props.value || "{}");
    takeOutlines(carried.shown, (carried.lesions || []).map(({ points_xy }) => points_xy));
  } else if (!same || !data.done || !before.done) {
    shown = null;
    revision = data.revision || 0;
    takeOutlines(sceneKey(), data.drawn || models());
  } else if (data.revision === revision && !unsent && !drag) takeOutlines(sceneKey(), data.drawn || models());
  if (!sameCase) newPicture();
  else if (!overlayCanvas.dataset.href) wanted = null;
  if (data.image) {
    seen = { width: data.width, height: data.height };
    stages.style.setProperty("--ratio", data.width / data.height);
    draw();
    drawPartButtons();
    if (!isFilm()) show(url(data.image), data.image);
  } else overlaySvg.querySelectorAll(":scope > :not(filter)").forEach((node) => node.remove());
  if (!data.done && mode === "edit" && !field) setModeQuietly(null);
  refresh();
}
function setModeQuietly(name) {
  tools[mode]?.stop?.();
  mode = name;
  tools[mode]?.start?.();
}

// Actions, each reached by a button and a key.
function act(name) {
  if (!buttons[name] || buttons[name].disabled) return;
  if (name in tools) setMode(mode === name ? null : name);
  else if (name === "fit") view.fitted = true;
  else if (name === "full") zoomAt(1 / view.zoom);
  else if (name === "reset") {
    [view, gray] = [{ fitted: true }, { ...PLAIN }];
    if (mode !== "edit") setModeQuietly(null);
  } else on[name] = !on[name];
  if (name === "explain" && on.explain && !data.heat) trigger("explain", { case: data.case });
  refresh();
}


for (const svg of svgs) {
  const pan = (now, far, dx, dy) => shift(dx, dy);
  const level = (now, far, dx, dy) => adjust(dx, dy);
  svg.addEventListener("pointerdown", (event) => {
    if (!data.image) return;
    svg.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [event.clientX, event.clientY]);
    if (held.size > 1) {
      drag?.cancel?.();
      drag = null;
      refresh();
      return;
    }
    travelled = 0;
    if (event.button === 2 || mode === "window") drag = level; // the right button changes brightness in any mode
    else if (event.button === 0 && svg === overlaySvg) drag = tools[mode]?.down(framePoint(event), event) || pan;
    else drag = pan;
    refresh();
    if (drag.focus) drag.focus();
    else svg.focus({ preventScroll: true });
    event.preventDefault(); // or the browser moves the focus elsewhere
  });
  svg.addEventListener("pointermove", (event) => {
    const last = held.get(event.pointerId);
    if (!last) {
      svg.style.cursor = svg === overlaySvg && tools[mode]?.hover?.(framePoint(event)) ? "pointer" : "";
      return;
    }
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - last[0], now[1] - last[1]];
    travelled += Math.hypot(dx, dy);
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const distance = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      zoomAt(distance(now) / distance(last), framePoint(event, svg));
    } else drag?.(framePoint(event, svg), travelled, dx, dy);
    held.set(event.pointerId, now);
    refresh();
  });
  svg.addEventListener("pointerup", (event) => {
    if (!held.delete(event.pointerId) || held.size) return;
    drag?.end?.();
    drag = null;
    refresh();
  });
  svg.addEventListener("pointercancel", (event) => {
    held.delete(event.pointerId);
    drag?.cancel?.();
    drag = null;
    refresh();
  });
  svg.addEventListener("contextmenu", (event) => event.preventDefault());
  svg.addEventListener("dblclick", () => mode || act("fit"));
  svg.addEventListener("wheel", (event) => {
    if (!data.image || !(event.ctrlKey || event.metaKey || stages.contains(document.activeElement))) return;
    event.preventDefault(); // else the page scrolls; a pinch on a touchpad arrives with ctrlKey
    zoomAt(Math.exp(-event.deltaY / (event.ctrlKey ? 200 : 400)), framePoint(event, svg));
    refresh();
  }, { passive: false });
}

// Keys. Those of the picture need the focus in it; single letters work wherever no text is typed.
stages.addEventListener("keydown", (event) => {
  if (!data.image) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const way = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
  if (tools[mode]?.key(event)) refresh();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (isFilm() && steps && view.fitted && !tools[mode]) step(steps);
  else if (isFilm() && event.key === " ") play(!playing);
  else if (way) mode === "window" ? adjust(-way[0] / 5, -way[1] / 5) : shift(...way), refresh();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) act(button.dataset.do);
});
// Whether letters are text there. A radio button or a slider has the focus after a click, and types nothing.
const typed = (node) => node?.closest?.("textarea, select, [contenteditable=true], input:not([type=radio], " +
  "[type=checkbox], [type=range], [type=button], [type=submit], [type=file], [type=color])");
function onKey(event) {
  if (!root.isConnected) { // the page put another viewer in this one's place
    document.removeEventListener("keydown", onKey);
    return;
  }
  if (event.key === "Escape" && mode && !(field && mode === "edit") && root.offsetParent) setMode(null);
  if (typed(event.target) || !on.keys || !root.offsetParent) return;
  if (mode === "edit" && (event.ctrlKey || event.metaKey) && tools.edit.key(event)) {
    refresh();
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const button = root.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button) act(button.dataset.do);
  else if (event.key === "+" || event.key === "-") zoomAt(event.key === "+" ? 1.25 : 0.8), refresh();
  else if (isFilm() && (event.key === "," || event.key === ".")) step(event.key === "," ? -1 : 1);
  else return;
  event.preventDefault();
}
document.addEventListener("keydown", onKey);
watch("value", load);
new ResizeObserver(place).observe(overlaySvg);
load();
refresh();
