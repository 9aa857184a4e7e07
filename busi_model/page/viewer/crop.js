// A box round a part of the picture, to be judged as an image of its own. Leaves: the event "crop" with {case, box}:
// [x0, y0, x1, y1] in whole pixels, x1 and y1 not included.
const MIN_SIDE_PX = 64; // as frame.py
const cropBar = root.querySelector(".crop-bar");
const partsBar = root.querySelector(".parts");
let crop = null; // two opposite corners, frame pixels
let corner = null; // the first one, placed by Enter

function cropBox() {
  if (!crop) return null;
  const side = (i, size) => crop.map((p) => Math.min(Math.max(Math.round(p[i] + 0.5), 0), size)).sort((a, b) => a - b);
  const [[x0, x1], [y0, y1]] = [side(0, data.width), side(1, data.height)];
  return [x0, y0, x1, y1];
}
const corners = ([x0, y0, x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].map((p) => p.map((v) => v - 0.5));
const largeEnough = ([x0, y0, x1, y1]) => Math.min(x1 - x0, y1 - y0) >= MIN_SIDE_PX;

function drawCrop() {
  const layer = overlaySvg.querySelector(".crop");
  if (!layer) return;
  const box = mode === "crop" && cropBox();
  const whole = corners([0, 0, data.width, data.height]);
  const parts = [];
  if (mode === "crop") {
    (data.crops || []).forEach((part, i) => parts.push(
      make("path", { class: "suggested", d: path([corners(part)], true) }),
      label(corners(part)[0], String(i + 1), 6, 20)));
  }
  if (box) {
    parts.push(make("path", { class: "shade", d: path([whole, corners(box)], true) }),
      ...rimmed(path([corners(box)], true)), ...corners(box).map(cross));
  } else if (mode === "crop" && corner) parts.push(cross(corner));
  layer.replaceChildren(...parts);
  cropBar.hidden = mode !== "crop";
  cropBar.querySelector("button").disabled = !box || !largeEnough(box);
  partsBar.hidden = !data.crops?.length;
}
function drawPartButtons() {
  partsBar.querySelectorAll("button").forEach((button) => button.remove());
  (data.crops || []).forEach((part, i) => {
    const button = document.createElement("button");
    [button.type, button.textContent] = ["button", words("part", { number: i + 1 })];
    button.addEventListener("click", () => trigger("crop", { case: data.case, box: part }));
    partsBar.append(button);
  });
}
const cropTool = {
  start: () => { crop = corner = null; overlaySvg.focus({ preventScroll: true }); },
  stop: () => { crop = corner = null; },
  down(at, event) {
    const reach = (REACH_PX[event.pointerType] || REACH_PX.mouse) / view.zoom;
    const box = cropBox();
    const ends = box ? corners(box) : [];
    const grabbed = ends.findIndex(([x, y]) => Math.hypot(x - at[0], y - at[1]) < reach);
    if (grabbed >= 0) {
      const fixed = ends[(grabbed + 2) % 4];
      return (now) => { crop = [fixed, inside(now)]; };
    }
    if (box && at[0] > ends[0][0] && at[0] < ends[2][0] && at[1] > ends[0][1] && at[1] < ends[2][1]) {
      const before = crop;
      return (now) => { crop = before.map((p) => inside([p[0] + now[0] - at[0], p[1] + now[1] - at[1]])); };
    }
    return (now, far) => { if (far >= DRAG_PX) crop = [inside(at), inside(now)]; };
  },
  key(event) {
    if (event.key === "Enter") {
      const here = inside([view.x, view.y]);
      [crop, corner] = corner ? [[corner, here], null] : [null, here];
    } else if (event.key === "Delete" || event.key === "Backspace") crop = corner = null;
    else return false;
    return true;
  },
  status() {
    const box = cropBox();
    if (!box) return words(corner ? "crop_second" : "crop");
    const size = { width: box[2] - box[0], height: box[3] - box[1] };
    return words(largeEnough(box) ? "cropped" : "crop_small", size);
  },
};
cropBar.querySelector("button").addEventListener("click", () => {
  trigger("crop", { case: data.case, box: cropBox() });
  setMode(null);
});
