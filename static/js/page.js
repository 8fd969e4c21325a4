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
