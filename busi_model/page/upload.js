// Enters: files pasted anywhere, or dropped beside the upload field. Leaves: the same files in the upload field, as if
// chosen there; the server sees one way in. Without this a file dropped beside the field replaces the page. A click on
// the empty viewer opens the field's dialog.
(() => {
  const hand = (event, files) => {
    const input = document.querySelector("#upload input[type=file]");
    if (!files || !files.length) return;
    event.preventDefault();
    if (!input || !input.closest("#upload").offsetParent) return; // another tab of the page is open
    const all = new DataTransfer();
    for (const file of files) all.items.add(file);
    input.files = all.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const inField = (event) => event.target.closest && event.target.closest("#upload");
  document.addEventListener("click", (event) => {
    if (event.target.closest?.(".viewer .drop")) document.querySelector("#upload input[type=file]")?.click();
  });
  document.addEventListener("paste", (event) => hand(event, event.clipboardData.files));
  document.addEventListener("dragover", (event) => inField(event) || event.preventDefault());
  document.addEventListener("drop", (event) => inField(event) || hand(event, event.dataTransfer.files));
})();
