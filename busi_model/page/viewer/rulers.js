// Lines laid over the picture by hand: the ruler's calipers and the known length that gives the scale. Both are
// drawn by a drag, by two clicks, or by Enter under the cross; an end can be dragged anew. Leaves: the event "mark".
const REACH_PX = { mouse: 9, pen: 14, touch: 22 }; // how near a pointer must come to a point, on the screen
const DRAG_PX = 5; // less is a click
const MOST_CALIPERS = 9;
const calipersOf = new Map(); // case and frame -> lines; they stay in the browser
const scaleForm = root.querySelector("form.scale");
const forget = root.querySelector(".forget");
let marks = []; // the known length: one line, or none

const sceneKey = () => `${data.case} ${data.frame ?? 0}`;
function calipers() {
  if (!calipersOf.has(sceneKey())) calipersOf.set(sceneKey(), []);
  return calipersOf.get(sceneKey());
}
function lengthWords([[x0, y0], [x1, y1]]) {
  const [row, column] = data.spacing_mm || [1, 1];
  const length = Math.hypot((x1 - x0) * column, (y1 - y0) * row);
  const value = length.toFixed(length < 1 ? 2 : length < 100 ? 1 : 0);
  return words(data.spacing_mm ? "mm" : "px", { value });
}
function drawLines() {
  const drawn = (lines) => lines.flatMap((line) => [
    ...(line.length === 2 ? rimmed(path([line])) : []), ...line.map(cross)]);
  const texts = calipers().filter((line) => line.length === 2).map((line) =>
    label([(line[0][0] + line[1][0]) / 2, (line[0][1] + line[1][1]) / 2], lengthWords(line), 8, -6));
  overlaySvg.querySelector(".marks")?.replaceChildren(...drawn(marks));
  overlaySvg.querySelector(".calipers")?.replaceChildren(...drawn(calipers()), ...texts);
  scaleForm.hidden = !complete(marks) || mode !== "scale";
}
const complete = (lines) => lines.at(-1)?.length === 2;

function lineTool(lines, most, finished) {
  const begin = (line) => {
    if (lines().length >= most) lines().shift();
    lines().push(line);
    return line;
  };
  const add = (p) => {
    const open = lines().at(-1);
    if (open?.length === 1) open.push(rounded(p));
    else begin([rounded(p)]);
    if (complete(lines())) finished();
  };
  return {
    down(at, event) {
      const reach = (REACH_PX[event.pointerType] || REACH_PX.mouse) / view.zoom;
      const end = lines().flat().find(([x, y]) => Math.hypot(x - at[0], y - at[1]) < reach);
      if (end) return (now) => { [end[0], end[1]] = rounded(inside(now)); };
      let line = null;
      const drag = (now, far) => {
        if (!line && far < DRAG_PX) return;
        if (!line && lines().at(-1)?.length === 1) lines().pop(); // a first end that waits: the drag begins anew
        line ||= begin([rounded(inside(at)), null]);
        line[1] = rounded(inside(now));
      };
      drag.end = () => (line ? finished() : add(inside(at)));
      return drag;
    },
    key(event) {
      if (event.key === "Enter") add([view.x, view.y]);
      else if (event.key === "Delete" || event.key === "Backspace") lines().pop();
      else return false;
      return true;
    },
  };
}
const rulerTool = {
  ...lineTool(calipers, MOST_CALIPERS, () => {}),
  start: () => overlaySvg.focus({ preventScroll: true }),
  status() {
    const last = calipers().filter((line) => line.length === 2).at(-1);
    return last ? words("ruled", { length: lengthWords(last) }) : words("ruler");
  },
};
const scaleTool = {
  ...lineTool(() => marks, 1, () => { drawLines(); scaleForm.querySelector("input").focus(); }),
  start: () => { marks = []; overlaySvg.focus({ preventScroll: true }); },
  stop: () => { marks = []; },
  status: () => (complete(marks) ? "" : words(marks.length ? "second" : "first")),
};
scaleForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const [length, next] = scaleForm.querySelectorAll("input");
  const [start, end] = marks[0];
  trigger("mark", { case: data.case, start, end, mm: Number(length.value), next: next.checked });
  scaleForm.reset();
  setMode(null);
  overlaySvg.focus({ preventScroll: true });
});
forget.addEventListener("click", () => trigger("mark", { case: data.case }));
