// The frames of a film: a slider, play, the scores of those that were judged. Previews come from the server when the
// slider is first touched (event "film"); the frame on which the reader rests is judged (event "frame"), all of them on
// demand (event "judge").
const filmBar = root.querySelector(".film");
const slider = filmBar.querySelector("input");
const playButton = filmBar.querySelector(".play");
const worstButton = filmBar.querySelector(".worst");
const judgeButton = filmBar.querySelector(".judge");
const clipLine = filmBar.querySelector(".clip"); // what the whole clip comes to
const REST_MS = 350; // this long on one frame, and it is judged
const FRAME_MS = 90;
let index = 0; // the frame on the screen
let resting = null; // timer
let awaited = null; // the frame that the server was asked for
let playing = null; // timer
let asked = null; // the case whose previews were asked for

const isFilm = () => (data.frames || 1) > 1;
// Previews lie side by side on the server, numbered with four digits.
function preview(i) {
  if (i >= (data.film?.ready || 0)) return null; // it is on its way
  return url(data.film.first).replace("frame-0000.", `frame-${String(i).padStart(4, "0")}.`);
}

function askFilm() {
  if (asked === data.case) return;
  asked = data.case;
  trigger("film", { case: data.case });
}
function showFrame(i, rest = true) {
  askFilm();
  index = (i + data.frames) % data.frames;
  clearTimeout(resting);
  resting = null;
  if (rest && (index !== data.frame || awaited !== null)) {
    resting = setTimeout(() => {
      [resting, awaited] = [null, index];
      trigger("frame", { case: data.case, index });
    }, REST_MS);
  }
  drawFilm();
}
function play(start) {
  clearInterval(playing);
  playing = start ? setInterval(() => {
    const next = (index + 1) % data.frames;
    if (preview(next)) showFrame(next, false);
  }, FRAME_MS) : null;
  if (start) askFilm();
  else if (isFilm()) showFrame(index);
  drawFilm();
}
function drawFilm() {
  filmBar.hidden = !isFilm();
  root.classList.toggle("between", isFilm() && index !== data.frame);
  if (!isFilm()) return;
  const between = index !== data.frame; // what was found belongs to another frame
  const href = between ? preview(index) : url(data.image);
  if (href) show(href);
  [slider.max, slider.value] = [data.frames - 1, index];
  const at = words("frame", { number: index + 1, frames: data.frames });
  slider.setAttribute("aria-valuetext", at);
  filmBar.querySelector(".at").textContent = at;
  playButton.textContent = words(playing ? "pause" : "play");
  playButton.setAttribute("aria-pressed", String(Boolean(playing)));
  const scores = data.scores || [];
  filmBar.querySelector(".scores").replaceChildren(...scores.map(([frame, score]) => make("rect", { x: frame,
    y: 1 - score, width: 0.85, height: Math.max(score, 0.02), class: frame === data.worst ? "most" : "" })));
  filmBar.querySelector(".scores").setAttribute("viewBox", `0 0 ${data.frames} 1`);
  judgeButton.hidden = data.judged === data.frames;
  judgeButton.textContent = words(data.judging ? "judging" : "judge", { judged: data.judged, frames: data.frames });
  judgeButton.disabled = Boolean(data.judging);
  worstButton.hidden = data.worst === null || data.worst === undefined || data.judged < 2;
  clipLine.hidden = !data.clip;
  if (clipLine.textContent !== (data.clip || "")) clipLine.textContent = data.clip || "";
  worstButton.textContent = words("worst", { number: data.worst + 1, percent: data.worst_percent });
}
// New data are here: an answer to another turn than before is one to what was asked.
function newFilm(sameCase, sameTurn) {
  if (!sameCase) {
    clearInterval(playing);
    clearTimeout(resting);
    playing = resting = asked = null;
  }
  if (!sameTurn) awaited = null;
  if (resting === null && !playing) index = awaited ?? data.frame ?? 0;
}
function goTo(i) { // i was read before: stopping draws the slider anew
  if (playing) play(false);
  showFrame(i);
}
const step = (frames) => goTo(index + frames);
slider.addEventListener("input", () => goTo(Number(slider.value)));
slider.addEventListener("focus", askFilm);
playButton.addEventListener("click", () => play(!playing));
judgeButton.addEventListener("click", () => trigger("judge", { case: data.case }));
worstButton.addEventListener("click", () => goTo(data.worst));
