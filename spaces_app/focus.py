"""Where the focus goes, in the browser's own words: to what is done when a run begins, then to the answer."""

TO_STATUS = """() => {
  const place = document.querySelector("#status");
  place.tabIndex = -1;
  place.focus({preventScroll: true});
  window.scrollTo({top: 0});
}"""
# Unless somebody types.
TO_ANSWER = """() => {
  const place = document.querySelector("#verdict"), active = document.activeElement;
  const isBusy = active && active.matches("input, textarea, select") && active.checkVisibility();
  if (!place || !place.innerText.trim() || isBusy) return;
  place.tabIndex = -1;
  place.focus({preventScroll: true});
  if (window.innerWidth < 700) place.scrollIntoView({block: "start"});
}"""
TO_DATASET = (
    """() => requestAnimationFrame(() => document.querySelector("#dataset textarea, #dataset input")?.focus())"""
)
GO_TO = """() => requestAnimationFrame(() => {
  const place = document.querySelector("%s");
  if (!place) return;
  place.tabIndex = -1;
  place.scrollIntoView({block: "start"});
  place.focus({preventScroll: true});
})"""
# A press on a row that is no press on its link explains it.
PRESSED_ROW = """element.addEventListener("click", event => {
  const row = event.target.closest("tr[data-row]");
  if (row && !event.target.closest("a, .lh-tip")) trigger("select", {index: Number(row.dataset.row), value: ""});
});"""
# A press on a name takes it; the field keeps the focus meanwhile, so that nobody looks for half a name.
PRESSED_NAME = """element.addEventListener("mousedown", event => {
  if (event.target.closest("[data-id]")) event.preventDefault();
});
element.addEventListener("click", event => {
  const name = event.target.closest("[data-id]");
  if (name) trigger("select", {index: 0, value: name.dataset.id});
});"""
