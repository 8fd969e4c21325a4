// The form of a report: only the filters in force are shown, others are added from a list that can be searched.
// Without this script every filter is shown.

const box = document.querySelector("[data-filters]");
if (box) {
  const add = box.querySelector(".filter-add");
  const list = document.createElement("ul");
  const search = add.querySelector("input");
  const nothing = add.querySelector("p");
  nothing.before(list);

  const empty = (field) => {
    for (const control of field.querySelectorAll("input, select")) {
      if (control.multiple) for (const option of control.options) option.selected = false;
      else if (control.type === "checkbox") control.checked = false;
      else control.value = "";
    }
  };
  const find = () => {
    const words = search.value.trim().toLowerCase();
    let found = 0;
    for (const item of list.children) {
      item.hidden = item.dataset.inForce === "yes" || !item.textContent.toLowerCase().includes(words);
      found += !item.hidden;
    }
    nothing.hidden = found > 0;
  };

  for (const field of box.querySelectorAll("[data-filter]")) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = field.querySelector("label").textContent;
    item.append(button);
    list.append(item);
    const show = (inForce) => {
      field.hidden = !inForce;
      item.dataset.inForce = inForce ? "yes" : "no";
      find();
    };
    button.addEventListener("click", () => {
      show(true);
      add.open = false;
      const control = field.querySelector("input, select");
      if (control.type === "checkbox") control.checked = true;
      control.focus();
    });
    const remove = field.querySelector(".filter-remove");
    remove.hidden = false;
    remove.addEventListener("click", () => {
      empty(field);
      show(false);
      add.querySelector("summary").focus();
    });
    show("set" in field.dataset);
  }

  add.hidden = false;
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    list.querySelector("li:not([hidden]) button")?.click();
  });
  add.addEventListener("toggle", () => {
    if (!add.open) return;
    search.value = "";
    find();
    search.focus();
  });
}
