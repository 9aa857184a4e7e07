// Outlines under the hand: points, lines, strokes, keys, undo; outline.js stands before it. In the image panel a change
// leaves as the event "outline" with {case, frame, revision, lesions}; in a form (a reading session) it is the
// component's value, JSON {shown, lesions: [{points_xy}]}, with the event "input". What is drawn is what is saved.
const MIN_POINTS = 3;
const TWICE_MS = 400; // two presses of a point within this time remove it
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const field = root.dataset.use === "field";
const editBar = root.querySelector(".edit-bar");
const editButtons = Object.fromEntries([...editBar.querySelectorAll("[data-tool]")].map((b) => [b.dataset.tool, b]));
let shown = null; // what the outlines belong to
let lesions = []; // one list of [x, y] a lesion
let past = [], future = []; // lesions as JSON
let chosen = { lesion: 0, point: -1 };
let drawing = false; // whether the next stroke is a new lesion, or a new part of one
let line = null; // that stroke
let remark = "";
let revision = 0; // of the outlines; the server answers with the one that it measured
let unsent = false; // keys move points quicker than they can be measured
let onScreen = ""; // what is drawn of it
let pressed = {}; // the point pressed last: not the browser's double click, which a redrawn point does not get

const models = () => data.model || [];
const edited = () => JSON.stringify(lesions) !== JSON.stringify(models());
const measured = () => field || data.revision === revision; // whether what came from the server is of these outlines

// Changes: each is one step of undo.
function remember() {
  past.push(JSON.stringify(lesions));
  future = [];
}
function send() {
  unsent = false;
  lesions = lesions.map((points) => points.map(rounded));
  revision += 1;
  if (!field) trigger("outline", { case: data.case, frame: data.frame, revision, lesions });
  else {
    props.value = JSON.stringify({ shown, lesions: lesions.map((points_xy) => ({ points_xy })) });
    trigger("input");
  }
}
const sendRest = () => unsent && send();
function change(action, later = false) {
  remember();
  action();
  if (later && !field) unsent = true;
  else send();
}
function travel(from, to) {
  if (!from.length) return;
  to.push(JSON.stringify(lesions));
  lesions = JSON.parse(from.pop());
  chosen = { lesion: Math.min(chosen.lesion, Math.max(lesions.length - 1, 0)), point: -1 };
  send();
}
function removePoint(number) {
  const points = lesions[chosen.lesion];
  if (!points?.[number]) return;
  if (points.length <= MIN_POINTS) { remark = words("too_few_points"); return; }
  change(() => { points.splice(number, 1); chosen.point = Math.min(number, points.length - 1); });
}
function addLesion(points) {
  change(() => { chosen = { lesion: lesions.push(points) - 1, point: -1 }; });
}
const editActions = {
  draw: () => { drawing = !drawing; },
  smooth: () => change(() => { lesions[chosen.lesion] = smoothed(lesions[chosen.lesion]).map(inside); }),
  delete_point: () => removePoint(chosen.point),
  delete_lesion: () => change(() => { lesions.splice(chosen.lesion, 1); chosen = { lesion: 0, point: -1 }; }),
  undo: () => travel(past, future),
  redo: () => travel(future, past),
  reset: () => change(() => { lesions = structuredClone(models()); chosen = { lesion: 0, point: -1 }; }),
  done: () => setMode(null),
};
editBar.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tool]");
  if (!button) return;
  remark = "";
  editActions[button.dataset.tool]();
  refresh();
});

function drawEdit() {
  const layer = overlaySvg.querySelector(".editing");
  if (!layer) return;
  const editing = mode === "edit";
  const wanted = JSON.stringify([editing, shown, lesions, chosen, line]);
  if (wanted !== onScreen) redrawn(layer, editing);
  onScreen = wanted;
  editBar.hidden = !editing;
  root.classList.toggle("drawing", editing && drawing);
  editButtons.draw.setAttribute("aria-pressed", String(drawing));
  editButtons.smooth.disabled = editButtons.delete_lesion.disabled = !lesions.length;
  editButtons.delete_point.disabled = chosen.point < 0;
  editButtons.undo.disabled = !past.length;
  editButtons.redo.disabled = !future.length;
  editButtons.reset.disabled = !edited();
}
function redrawn(layer, editing) {
  const focused = layer.contains(document.activeElement) ? document.activeElement.dataset.part : null;
  const waits = unsent;
  unsent = false; // the focus goes and comes back: no reason to send yet
  layer.replaceChildren(...(editing ? editable() : []));
  if (focused && editing) { // the focus must not fall off the picture with the point it was on
    const part = focused.startsWith("point") ? `point ${chosen.point}` : focused;
    ([...layer.children].find((node) => node.dataset.part === part) || overlaySvg).focus({ preventScroll: true });
  }
  unsent = waits;
}
function editable() {
  const nodes = [];
  lesions.forEach((points, i) => {
    const current = i === chosen.lesion;
    const [rim, line] = rimmed(path([points], true));
    line.setAttribute("aria-label", words("lesion", { number: i + 1, points: points.length }));
    line.setAttribute("role", "button");
    line.classList.toggle("current", current);
    line.dataset.part = `lesion ${i}`;
    if (!current) line.setAttribute("tabindex", 0);
    nodes.push(rim, line);
  });
  (lesions[chosen.lesion] || []).forEach(([x, y], i) => {
    const current = i === chosen.point;
    const dot = make("circle", { cx: x, cy: y, "data-r": current ? 6.5 : 4.5, tabindex: 0, role: "button",
      "data-part": `point ${i}`, "aria-label": words("point", { number: i + 1, x, y }) });
    dot.classList.toggle("current", current);
    nodes.push(dot);
  });
  if (line) nodes.push(...rimmed(path([line])));
  return nodes;
}

// What lies under the pointer: a point goes before the line it lies on.
function under(at, reach) {
  const near = { distance: reach / view.zoom };
  (lesions[chosen.lesion] || []).forEach((point, number) => {
    const distance = Math.hypot(point[0] - at[0], point[1] - at[1]);
    if (distance < near.distance) Object.assign(near, { lesion: chosen.lesion, number, distance });
  });
  if (near.lesion !== undefined) return near;
  lesions.forEach((points, lesion) => points.forEach((point, i) => {
    const found = nearestOn(point, points[(i + 1) % points.length], at);
    if (found.distance < near.distance) Object.assign(near, { ...found, lesion, after: i });
  }));
  return near;
}
function strokeDrag(at) {
  line = [inside(at)];
  const drag = (now) => line.push(inside(now));
  drag.cancel = () => { line = null; };
  drag.end = () => {
    const points = simplified(line, 1 / view.zoom);
    const reach = REACH_PX.touch / view.zoom;
    const [start, end] = [points[0], points.at(-1)];
    const closed = Math.hypot(end[0] - start[0], end[1] - start[1]) < reach;
    const ends = [start, end].map((p) => under(p, REACH_PX.pen));
    line = null;
    drawing = false;
    const which = ends[0].lesion;
    if (!closed && points.length > 1 && which !== undefined && which === ends[1].lesion) { // a new part of an outline
      change(() => {
        lesions[which] = withPart(lesions[which], points);
        chosen = { lesion: which, point: -1 };
      });
      return;
    }
    if (closed) points.pop(); // back where it began
    if (points.length >= MIN_POINTS) addLesion(points);
    else remark = words("stroke_too_short");
  };
  return drag;
}
function pointDrag(hit, at) {
  let fresh = true; // a click alone changes nothing
  if (hit.number === undefined) {
    remember();
    fresh = false;
    hit.number = hit.after + 1;
    lesions[hit.lesion].splice(hit.number, 0, hit.point);
  }
  chosen = { lesion: hit.lesion, point: hit.number };
  const [x, y] = lesions[hit.lesion][hit.number];
  const drag = (now) => {
    if (fresh) remember();
    fresh = false;
    pressed = {};
    lesions[hit.lesion][hit.number] = inside([x + now[0] - at[0], y + now[1] - at[1]]);
  };
  drag.end = drag.cancel = () => { if (!fresh) send(); }; // what is on the screen is what is saved
  drag.focus = () => overlaySvg.querySelector("circle.current")?.focus({ preventScroll: true });
  return drag;
}
const editTool = {
  start: () => { [drawing, remark] = [false, ""]; },
  stop: () => { sendRest(); [drawing, line] = [false, null]; },
  down(at, event) {
    remark = "";
    if (drawing) return strokeDrag(at);
    const hit = under(at, REACH_PX[event.pointerType] || REACH_PX.mouse);
    if (hit.lesion === undefined) return null; // moves the picture
    if (hit.lesion !== chosen.lesion) {
      chosen = { lesion: hit.lesion, point: -1 }; // the first click only chooses
      return () => {};
    }
    if (hit.number !== undefined && hit.number === pressed.number && event.timeStamp - pressed.at < TWICE_MS) {
      pressed = {};
      removePoint(hit.number);
      return () => {};
    }
    pressed = { number: hit.number, at: event.timeStamp };
    return pointDrag(hit, at);
  },
  hover: (at) => !drawing && under(at, REACH_PX.mouse).lesion !== undefined,
  key(event) {
    const [part, number] = (event.target.dataset?.part || "").split(" ");
    const points = lesions[chosen.lesion];
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    remark = "";
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      editActions[key === "y" || event.shiftKey ? "redo" : "undo"]();
    } else if (part === "point" && ARROWS[key]) {
      const [dx, dy] = ARROWS[key].map((step) => step * (event.shiftKey ? 10 : 1));
      change(() => { points[number] = inside([points[number][0] + dx, points[number][1] + dy]); }, true);
    } else if (part === "point" && (key === "Delete" || key === "Backspace")) {
      removePoint(+number);
    } else if (part === "point" && key === "Insert") {
      const next = points[(+number + 1) % points.length];
      const between = [0, 1].map((axis) => (points[number][axis] + next[axis]) / 2);
      change(() => points.splice(+number + 1, 0, rounded(between)));
    } else if (part === "lesion" && (key === "Delete" || key === "Backspace")) {
      chosen.lesion = +number;
      editActions.delete_lesion();
    } else if (part === "lesion" && (key === "Enter" || key === " ")) {
      chosen = { lesion: +number, point: -1 };
    } else if (drawing && key === "Enter" && event.target === overlaySvg) { // without a pointer: a ring in the middle
      const radius = Math.min(overlaySvg.clientWidth, overlaySvg.clientHeight) / 6 / view.zoom;
      const angles = [...Array(12).keys()].map((i) => (i * Math.PI) / 6);
      drawing = false;
      addLesion(angles.map((a) => inside([view.x + radius * Math.cos(a), view.y + radius * Math.sin(a)])));
    } else if (key === "Escape" && drawing) {
      [drawing, line] = [false, null];
    } else return false;
    return true;
  },
  status() {
    const count = lesions.length === 0 ? "no_lesion" : lesions.length === 1 ? "one_lesion" : "lesions";
    return [remark, drawing && words("drawing"), words(count, { count: lesions.length })].filter(Boolean).join(" ");
  },
};
overlaySvg.addEventListener("focusin", (event) => {
  const [part, number] = (event.target.dataset?.part || "").split(" ");
  if (part !== "point" || chosen.point === +number) return;
  chosen.point = +number;
  refresh();
});
root.addEventListener("keyup", sendRest);
root.addEventListener("focusout", sendRest);

// Outlines of a new picture, or others of the same one: the server repaired them, and undo brings the former back.
function takeOutlines(key, given) {
  const fresh = key !== shown;
  if (!fresh && JSON.stringify(given) === JSON.stringify(lesions)) return;
  if (fresh) [past, future, drawing] = [[], [], false];
  else remember();
  [shown, lesions, chosen, unsent] = [key, structuredClone(given), { lesion: 0, point: -1 }, false];
}
