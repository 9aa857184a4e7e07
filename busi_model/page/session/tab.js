// Where a reader is: the code and the step on the screen, and what was typed but not saved, kept for this browser tab
// (sessionStorage) so that a reload or a restart of the server asks nothing again. Enters: value, JSON {code, key} from
// the server, "" when the reader leaves; with {unsaved} where a text is offered that was not taken, with {own} where the
// reader has locked a reading. Leaves: on loading, the event "resume" with the kept code, that text and the draft.
const SESSION = "busi-session";
const DRAFT = "busi-draft"; // JSON {key, values}: of which step, and the fields in the order of layout.py

window.busiKeepDraft = (tab, values) => {
  if (tab) sessionStorage.setItem(DRAFT, JSON.stringify({ key: JSON.parse(tab).key, values }));
};

watch("value", () => {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "{}");
  if (props.value) sessionStorage.setItem(SESSION, props.value);
  else sessionStorage.removeItem(SESSION);
  if (!props.value || draft.key !== JSON.parse(props.value).key) sessionStorage.removeItem(DRAFT);
});

const kept = sessionStorage.getItem(SESSION);
if (kept && !props.value) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "null");
  const { code, unsaved = "" } = JSON.parse(kept);
  trigger("resume", { code, unsaved, draft }); // as data: the value is not heard yet while this loads
}

// One way by keys through a case: the focus goes where the next answer is wanted, and Enter goes on from there.
const FIRST_FIELD = {
  profile: "#pseudonym :is(input, textarea)",
  own: "#case-class input",
  final: "#case-class input",
  questionnaire: "#sus-1 input",
};
const SAME = "#session-same"; // a final read can begin with the own one
const LOOK_MS = 3000; // a step's fields appear a moment later
const there = (selector) => [...document.querySelectorAll(selector)].find((node) => node.offsetParent && !node.disabled);
const chosen = (selector) => there(`${selector}:checked`) || there(selector);

function attend(tab, until = performance.now() + LOOK_MS) {
  if (tab !== props.value || performance.now() > until) return;
  const { key, own } = JSON.parse(tab);
  const stage = key.split("-").at(-1);
  const field = there(stage === "final" && own ? SAME : FIRST_FIELD[stage] || "none");
  if (field) {
    window.scrollTo(0, 0); // each step begins with its picture, and the last one with what the model says
    field.focus({ preventScroll: true });
  }
  else requestAnimationFrame(() => attend(tab, until));
}

let attended = null; // key of the step that has had the focus
watch("value", () => {
  const key = props.value ? JSON.parse(props.value).key : null;
  if (key && key !== attended) requestAnimationFrame(() => attend(props.value));
  attended = key;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  const within = (selector) => event.target.closest?.(selector);
  const verdict = chosen("#case-verdict input");
  const save = there("#session-lock, #session-save");
  if (within("#case-class")) there("#case-confidence input")?.focus();
  else if (within("#case-confidence") && verdict) verdict.focus();
  else if (within("#case-confidence, #case-verdict, #case-no-lesion")) save?.click();
  else return;
  event.preventDefault();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.(SAME)) chosen("#case-verdict input")?.focus();
});
