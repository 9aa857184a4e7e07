// The way in. Enters: files that are dropped anywhere on the page (folders too), pasted, or chosen. Leaves: the event
// "hand" with {files: [{path, token}], show} once they are on the server. What comes while others are on their way waits
// its turn. Names stay here, in window.busiNames, by token. Gradio runs this file once.
const root = element.querySelector(".inbox");
const input = root.querySelector("input");
const state = root.querySelector(".state");
const bar = root.querySelector("progress");
const again = root.querySelector(".again");
const names = (window.busiNames ??= new Map()); // token -> the file's name
const CHUNK = 8; // files that travel together; the first of a drop goes alone, so that it is shown at once
const queue = []; // [{files: [{file, token}], show}]
const failed = []; // the same, for "try again"
let sending = null;
let done = { files: 0, bytes: 0 };
let all = { files: 0, bytes: 0 };
let count = 0;

const words = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), root.dataset[name]);
const inView = () => Boolean(root.offsetParent);
const size = (files) => files.reduce((sum, { file }) => sum + file.size, 0);

function take(files) {
  const mine = files.map((file) => ({ file, token: `${Date.now().toString(36)}-${count++}` }));
  if (!mine.length) return say(words("none"));
  for (const { file, token } of mine) names.set(token, file.name);
  all = { files: all.files + mine.length, bytes: all.bytes + size(mine) };
  queue.push({ files: mine.splice(0, 1), show: true });
  while (mine.length) queue.push({ files: mine.splice(0, CHUNK), show: false });
  next();
}

function next() {
  if (sending || !queue.length) return report();
  sending = queue.shift();
  const form = new FormData();
  for (const { file } of sending.files) {
    const ending = /\.([a-z0-9]{1,5})$/i.exec(file.name);
    form.append("files", file, ending ? `image.${ending[1].toLowerCase()}` : "image");
  }
  const request = new XMLHttpRequest();
  request.open("POST", `${(window.gradio_config?.root || "").replace(/\/$/, "")}/gradio_api/upload`);
  request.upload.onprogress = (event) => report(event.loaded);
  request.onload = () => (request.status === 200 ? arrived(JSON.parse(request.response)) : lost(request.status));
  request.onerror = () => lost(0);
  request.send(form);
  report();
}

function arrived(paths) {
  trigger("hand", { files: paths.map((path, i) => ({ path, token: sending.files[i].token })), show: sending.show });
  finish();
}

function lost(status) {
  if (sending.files.length > 1) {
    // One of them may be too large: the others must not go with it.
    queue.unshift(...sending.files.map((one) => ({ files: [one], show: sending.show })));
    sending = null;
    return next();
  }
  failed.push({ ...sending, status });
  finish();
}

function finish() {
  done = { files: done.files + sending.files.length, bytes: done.bytes + size(sending.files) };
  sending = null;
  next();
}

function report(loaded = 0) {
  const busy = Boolean(sending);
  root.classList.toggle("busy", busy);
  bar.hidden = !busy;
  again.hidden = busy || !failed.some((one) => one.status !== 413);
  if (busy) {
    [bar.max, bar.value] = [all.bytes || 1, Math.min(all.bytes, done.bytes + loaded)];
    return say(words("sending", { number: Math.min(all.files, done.files + 1), count: all.files }));
  }
  [done, all] = [{ files: 0, bytes: 0 }, { files: 0, bytes: 0 }];
  say(failed.map(({ files, status }) => words(status === 413 ? "large" : "lost", { name: files[0].file.name })).join(" "));
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

// Folders: every file in them, by name; hidden ones are the system's own.
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) return found.push(await new Promise((hand, fail) => entry.file(hand, fail)));
    const reader = entry.createReader();
    const inside = [];
    for (let part; (part = await new Promise((hand, fail) => reader.readEntries(hand, fail))).length; ) inside.push(...part);
    inside.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    for (const each of inside) await walk(each);
  };
  for (const entry of entries) await walk(entry);
  return found;
}

const elsewhere = (event) => !inView() || event.target.closest?.(".upload-container"); // another panel's own field
const light = (on) => document.body.classList.toggle("dropping", on);
input.addEventListener("change", () => {
  take([...input.files]);
  input.value = "";
});
again.addEventListener("click", () => {
  const once_more = failed.splice(0).filter((one) => one.status !== 413);
  all = once_more.reduce((sum, { files }) => ({ files: sum.files + 1, bytes: sum.bytes + size(files) }), all);
  queue.push(...once_more);
  next();
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files || [])];
  if (!files.length || !inView()) return;
  event.preventDefault();
  take(files);
});
document.addEventListener("dragover", (event) => {
  if (event.target.closest?.(".upload-container")) return;
  event.preventDefault(); // or the browser would open the file in place of the page
  light(inView() && [...(event.dataTransfer?.types || [])].includes("Files"));
});
document.addEventListener("dragleave", (event) => event.relatedTarget || light(false));
document.addEventListener("drop", async (event) => {
  light(false);
  if (event.target.closest?.(".upload-container")) return;
  event.preventDefault();
  if (!elsewhere(event)) take(await filesOf(event.dataTransfer));
});
