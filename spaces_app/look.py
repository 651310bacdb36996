"""The page's look: Gradio's theme with contrast that all can read, a style sheet, and what Gradio leaves out."""

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
DROPPED_FOLDERS = Path(__file__).with_name("dropped_folders.js")

# Parts that appear later have no name or cannot be reached by keyboard, as Gradio makes them; and its dropdowns open on
# any focus, which has no setting: whoever passes by with Tab sends them the Escape that closes them.
MADE_REACHABLE = """() => {
  const name = () => {
    for (const code of document.querySelectorAll(".cm-scroller")) code.tabIndex = 0;
    for (const search of document.querySelectorAll("input.search-input")) search.ariaLabel = "Filter the table";
  };
  name();
  let isTabbed = false;
  document.addEventListener("keydown", event => { if (event.isTrusted) isTabbed = event.key === "Tab"; }, true);
  document.addEventListener("pointerdown", () => { isTabbed = false; }, true);
  document.addEventListener("focusin", event => {
    if (isTabbed && event.target.matches("input[role=combobox]"))
      event.target.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
  });
  new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
}"""


def scripts() -> str:
    """What the page does by itself, beside Gradio, as a function of JavaScript."""
    return f"() => {{ ({MADE_REACHABLE})(); ({DROPPED_FOLDERS.read_text(encoding='utf-8')})(); }}"


def theme() -> gr.themes.Base:
    """Indigo on slate; small print at least 4.5 to 1 against its ground, light and dark."""
    plain = gr.themes.Default(primary_hue="indigo", neutral_hue="slate", font=["system-ui", "sans-serif"])
    return plain.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_title_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
    )
