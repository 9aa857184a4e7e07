// Where a reader sits: the code and the step on the screen, and what was typed but not saved, kept for this browser tab
// (sessionStorage) so that a reload or a restart of the server asks nothing again. Enters: value, JSON {code, key} from
// the server, "" when the reader leaves; with {unsaved} where a text is offered that was not taken. Leaves: on loading,
// the event "resume" with the kept code, that text and the draft.
const SEAT = "busi-seat";
const DRAFT = "busi-draft"; // JSON {key, values}: of which step, and the fields in the order of layout.py

window.busiKeepDraft = (seat, values) => {
  if (seat) sessionStorage.setItem(DRAFT, JSON.stringify({ key: JSON.parse(seat).key, values }));
};

watch("value", () => {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "{}");
  if (props.value) sessionStorage.setItem(SEAT, props.value);
  else sessionStorage.removeItem(SEAT);
  if (!props.value || draft.key !== JSON.parse(props.value).key) sessionStorage.removeItem(DRAFT);
});

const kept = sessionStorage.getItem(SEAT);
if (kept && !props.value) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "null");
  const { code, unsaved = "" } = JSON.parse(kept);
  trigger("resume", { code, unsaved, draft }); // as data: the value is not heard yet while this loads
}
