// The light/dark switch in the top line: remembered in this browser, else as the system asks. Gradio sets its own choice
// when it starts; this one stands.
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
