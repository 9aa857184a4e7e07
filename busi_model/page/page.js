// What belongs to the whole page: the light/dark switch, the tab that was open, arrows among radio buttons, leaving
// without a false alarm.

// The switch in the top line: remembered in this browser, else as the system asks. Gradio sets its own choice when it
// starts; this one stands.
(() => {
  const KEY = "busi-look";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const wanted = () => localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light");
  const apply = () => {
    const dark = wanted() === "dark";
    if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
    const button = document.getElementById("look");
    if (button && button.getAttribute("aria-pressed") !== String(dark)) button.setAttribute("aria-pressed", String(dark));
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#look")) return;
    localStorage.setItem(KEY, wanted() === "dark" ? "light" : "dark");
    apply();
  });
  const begin = () => {
    new MutationObserver(apply).observe(document.body, { attributes: true, childList: true, subtree: true });
    apply();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin(); // Gradio adds this script when the page is there already
  system.addEventListener("change", apply);
})();

// A page that is loaded again, by its user or after the server was away, opens at the tab where it was.
(() => {
  const KEY = "busi-tab"; // sessionStorage: the tab's name
  const TABS = "#page-tabs > .tab-wrapper button";
  const names = () => [...document.querySelectorAll(TABS)].filter((button) => !button.closest(".visually-hidden"));
  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.(TABS);
    if (tab?.textContent.trim()) sessionStorage.setItem(KEY, tab.textContent.trim());
  });
  const kept = sessionStorage.getItem(KEY);
  if (!kept) return;
  const back = (watched) => {
    const tab = names().find((button) => button.textContent.trim() === kept);
    if (!tab) return false; // not there yet
    watched?.disconnect();
    if (tab.getAttribute("aria-selected") !== "true") tab.click();
    return true;
  };
  const begin = () => {
    if (back()) return;
    new MutationObserver((_, watched) => back(watched)).observe(document.body, { childList: true, subtree: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();

// Gradio gives each radio button a group of its own, so that arrows would go nowhere.
document.addEventListener("keydown", (event) => {
  const way = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  const field = way && event.target.matches?.("input[type=radio]") && event.target.closest("fieldset");
  if (!field) return;
  const radios = [...field.querySelectorAll("input[type=radio]:not(:disabled)")];
  const next = radios.at((radios.indexOf(event.target) + way) % radios.length);
  next.focus();
  next.click();
  event.preventDefault();
});

// Gradio ends its connection when a page is about to be left, and takes that for a fault: until the next page answers,
// the user would read that the connection was lost.
window.addEventListener("beforeunload", () => document.body.classList.add("leaving"));
window.addEventListener("pageshow", () => document.body.classList.remove("leaving"));
