// The worklist. Enters: props.value as `worklist.py` describes it. Leaves: a list of thumbnails that can be used with
// arrow keys, and the event "pick" with {case}. Gradio runs this file once.
const root = element.querySelector(".worklist");
const list = root.querySelector("ol");
let data = { version: -1, items: [], shown: null };

function item(entry, index) {
  const node = document.createElement("li");
  const button = document.createElement("button");
  const image = document.createElement("img");
  const [name, state] = [document.createElement("b"), document.createElement("span")];
  [name.textContent, state.textContent, image.alt] = [entry.name, entry.state, ""];
  image.src = entry.thumbnail || "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="; // one transparent pixel
  const shown = entry.case === data.shown;
  button.type = "button";
  button.dataset.index = index;
  button.setAttribute("aria-current", String(shown));
  button.tabIndex = shown || (!data.shown && index === 0) ? 0 : -1;
  button.append(image, name, state);
  node.append(button);
  return node;
}

const shownIndex = () => data.items.findIndex((entry) => entry.case === data.shown);

function pick(index) {
  const entry = data.items[index];
  if (entry && entry.case !== data.shown) trigger("pick", { case: entry.case });
}

watch("value", () => {
  if (!props.value || props.value.version < data.version) return; // overtaken by a newer state
  const focused = list.contains(document.activeElement);
  data = props.value;
  list.replaceChildren(...data.items.map(item));
  root.hidden = data.items.length < 2;
  root.querySelector("[data-step='-1']").disabled = shownIndex() <= 0;
  root.querySelector("[data-step='1']").disabled = shownIndex() >= data.items.length - 1;
  const current = list.querySelector("[aria-current=true]");
  if (current) {
    if (focused) current.focus();
    // Not scrollIntoView: that would move the page, too.
    list.scrollTo({ top: current.offsetTop - list.clientHeight / 2, left: current.offsetLeft - list.clientWidth / 2 });
  }
});

root.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]");
  const button = event.target.closest("[data-index]");
  if (step) pick(shownIndex() + Number(step.dataset.step));
  else if (button) pick(Number(button.dataset.index));
});
list.addEventListener("keydown", (event) => {
  const way = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!way) return;
  event.preventDefault();
  pick(shownIndex() + way);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
  const off = document.querySelector(".viewer [data-do=keys]")?.getAttribute("aria-pressed") === "false";
  if (typing || off || event.ctrlKey || event.metaKey || event.altKey || root.hidden || !root.offsetParent) return;
  const way = { n: 1, p: -1 }[event.key.toLowerCase()];
  if (way) pick(shownIndex() + way);
});
