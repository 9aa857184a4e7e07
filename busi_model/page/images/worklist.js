// The worklist. Enters: props.value as `worklist.py` describes it. Leaves: a list of thumbnails that can be used with
// arrow keys, and the events "pick" and "close" with {case}, "restore" with {cases, shown} after a reload. Keys are
// counted here: however often N is pressed, only the image at which it stops is asked for. Gradio runs this file once.
const KEPT = "busi-open"; // sessionStorage: ids of this tab's images, for a reload
const ANSWER_MS = 4000; // after which an answer counts as lost
const NEAR = [1, -1, 2]; // neighbours whose pictures are fetched ahead
const LARGE = 4e6; // bytes of a picture: decoded four of them take 100 MB; larger ones are decoded when they are shown
const EMPTY = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="; // one transparent pixel
const root = element.querySelector(".worklist");
const list = root.querySelector("ol");
const nodes = new Map(); // case -> its <li>
const pictures = (window.busiPictures ??= new Map()); // path -> ImageBitmap of a neighbour, or null
let data = { version: -1, listed: -1, items: [], shown: null };
let shown = null; // where the reader is; the server may still be answering
let asked = null; // the case that the server is asked for
let timer = 0;

const address = (path) => `${(window.gradio_config?.root || "").replace(/\/$/, "")}/gradio_api/file=${path}`;
const indexOf = (id) => data.items.findIndex((entry) => entry.case === id);

function make(entry) {
  const node = document.createElement("li");
  node.innerHTML = '<button type="button" class="open"><img alt="" src=""><b></b><i></i><span></span></button>'
    + '<button type="button" class="close" tabindex="-1">×</button>';
  node.querySelector("img").src = EMPTY;
  node.dataset.case = entry.case;
  return node;
}

function fill(node, entry) {
  const set = (selector, text) => {
    const part = node.querySelector(selector);
    if (part.textContent !== text) part.textContent = text;
  };
  set("b", entry.name);
  set("i", window.busiNames?.get(entry.token) || "");
  set("span", entry.state);
  const image = node.querySelector("img");
  if (entry.thumbnail && image.getAttribute("src") === EMPTY) image.src = address(entry.thumbnail);
  node.querySelector(".close").setAttribute("aria-label", root.dataset.close.replace("{name}", entry.name));
}

function show() {
  const index = indexOf(shown);
  data.items.forEach((entry, place) => {
    const button = nodes.get(entry.case).querySelector(".open");
    const here = place === index;
    button.setAttribute("aria-current", String(here));
    button.tabIndex = here || (index < 0 && place === 0) ? 0 : -1;
  });
  root.querySelector("[data-step='-1']").disabled = index <= 0;
  root.querySelector("[data-step='1']").disabled = index >= data.items.length - 1;
  root.querySelector("output").textContent = index < 0 ? "" : `${index + 1} / ${data.items.length}`;
  const node = nodes.get(shown);
  // Not scrollIntoView: that would move the page, too.
  if (node) list.scrollTo({ top: node.offsetTop - list.clientHeight / 2, left: node.offsetLeft - list.clientWidth / 2 });
}

function pick(index) {
  const entry = data.items[Math.min(Math.max(index, 0), data.items.length - 1)];
  if (!entry || entry.case === shown) return;
  const focused = list.contains(document.activeElement);
  shown = entry.case;
  show();
  if (focused) nodes.get(shown).querySelector(".open").focus();
  waitFor(true);
  if (asked === null) ask();
}

function ask() {
  asked = shown;
  clearTimeout(timer);
  timer = setTimeout(answered, ANSWER_MS);
  // One that is analysed already has one answer, not several: "look" brings it once.
  trigger(data.items[indexOf(shown)]?.picture ? "look" : "pick", { case: shown, listed: data.listed });
}

function answered() {
  clearTimeout(timer);
  asked = null;
  waitFor(false);
}

// While the next image is on its way nothing can be clicked that would count for the one before.
function waitFor(on) {
  const column = document.getElementById("result-column");
  if (column) column.inert = on;
}

function keep() {
  if (!data.items.length) return sessionStorage.removeItem(KEPT);
  sessionStorage.setItem(KEPT, JSON.stringify({ cases: data.items.map((entry) => entry.case), shown: data.shown }));
}

async function fetchAhead() {
  const index = indexOf(data.shown);
  const near = NEAR.map((way) => data.items[index + way]?.picture).filter(Boolean);
  for (const [path, bitmap] of pictures) {
    if (near.includes(path) || path === data.items[index]?.picture) continue;
    bitmap?.close();
    pictures.delete(path);
  }
  for (const path of near) {
    if (pictures.has(path)) continue;
    try {
      const blob = await (await fetch(address(path))).blob();
      const bitmap = blob.size > LARGE ? null : await createImageBitmap(blob);
      if (pictures.has(path)) bitmap?.close();
      else pictures.set(path, bitmap);
    } catch { /* it is fetched when it is shown */ }
  }
}

watch("value", () => {
  const value = props.value;
  if (!value || value.version <= data.version) return; // overtaken by a newer state
  const items = value.items ? JSON.parse(value.items) : data.items; // none: as before
  data = { ...value, items, listed: value.items ? value.version : data.listed };
  if (value.items) {
    const open = new Set(data.items.map((entry) => entry.case));
    for (const [id, node] of nodes) if (!open.has(id)) node.remove(), nodes.delete(id);
    data.items.forEach((entry, place) => {
      if (!nodes.has(entry.case)) nodes.set(entry.case, make(entry));
      const node = nodes.get(entry.case);
      fill(node, entry);
      if (list.children[place] !== node) list.insertBefore(node, list.children[place] || null);
    });
    root.hidden = !data.items.length;
  }
  keep();
  if (asked === null || asked === data.shown || indexOf(asked) < 0) {
    const behind = asked !== null && shown !== data.shown && indexOf(shown) >= 0; // keys went on meanwhile
    if (behind) ask();
    else answered(), (shown = data.shown), show();
  } else show();
  if (asked === null) setTimeout(fetchAhead, 60); // the shown picture comes first
});

root.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]");
  const place = event.target.closest("li")?.dataset.case;
  if (step) pick(indexOf(shown) + Number(step.dataset.step));
  else if (event.target.closest(".close")) trigger("close", { case: place });
  else if (place) pick(indexOf(place));
});
list.addEventListener("keydown", (event) => {
  const way = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (event.key === "Delete") trigger("close", { case: event.target.closest("li").dataset.case });
  else if (way) pick(indexOf(shown) + way);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable=true]");
  const off = document.querySelector(".viewer [data-do=keys]")?.getAttribute("aria-pressed") === "false";
  if (typing || off || event.ctrlKey || event.metaKey || event.altKey || root.hidden || !root.offsetParent) return;
  const way = { n: 1, p: -1 }[event.key.toLowerCase()];
  if (way) pick(indexOf(shown) + way);
});

// Back asks before it leaves open images behind: one step of history is ours while there are any.
window.addEventListener("popstate", () => {
  if (!data.items.length) return;
  if (window.confirm(root.dataset.leave)) return history.back();
  history.pushState({ busi: true }, "");
});
document.addEventListener("pointerdown", () => {
  if (data.items.length && !history.state?.busi) history.pushState({ busi: true }, "");
});

const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
if (kept?.cases?.length) trigger("restore", kept);
