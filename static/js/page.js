// Small comforts; every page works without them.

// "/" reaches the search box from anywhere but a field.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const box = document.querySelector('[data-hotkey="/"]');
  if (!box || box.offsetParent === null) return;
  event.preventDefault();
  box.focus();
});

// An error summary takes the focus.
document.querySelector("[data-focus]")?.focus();

// A click outside closes an open drop-down; Escape closes it and gives the focus back.
document.addEventListener("click", (event) => {
  for (const drop of document.querySelectorAll("details.drop[open]")) {
    if (!drop.contains(event.target)) drop.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const drop = event.target.closest("details.drop[open]");
  if (!drop) return;
  drop.open = false;
  drop.querySelector("summary").focus();
});

// On paper every folded table is laid open.
window.addEventListener("beforeprint", () => {
  for (const table of document.querySelectorAll(".chart-table")) table.open = true;
});

// A form is sent once: until its answer is there, a second press (mouse, Enter) does nothing. A page that is come back to
// begins anew. aria-disabled, not disabled: the button pressed stays in what is sent, and browsers do not remember it.
const sent = new Set();
const answered = (form) => {
  sent.delete(form);
  for (const button of form.querySelectorAll('[type="submit"][aria-busy]')) {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
};
const PATIENCE = 30_000; // after so long without an answer, or with a file for one, it may be sent again
document.addEventListener("submit", (event) => {
  const form = event.target;
  const method = event.submitter?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "get";
  if (method.toLowerCase() !== "post" || form.getAttribute("target") === "_blank") return;
  if (sent.has(form)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  sent.add(form);
  for (const button of form.querySelectorAll('[type="submit"]')) {
    button.setAttribute("aria-busy", "true");
    button.setAttribute("aria-disabled", "true");
  }
  setTimeout(answered, PATIENCE, form);
}, { capture: true });
window.addEventListener("pageshow", () => sent.forEach(answered));
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest?.("form");
  if (form && sent.has(form)) answered(form);
});
