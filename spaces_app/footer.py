"""The page's foot: light, dark or as the system has it, and where paper, documentation and code are.

And what other sites show of a link to the page.
"""

from html import escape

import gradio as gr
from huggingface_hub.constants import ENDPOINT

PAPER = "https://arxiv.org/abs/2507.14559"
TITLE = "lead-hub: which pretrained checkpoint to fine-tune on your images"
DESCRIPTION = (
    "Name an image classification dataset; see which checkpoint of the Hub would fine-tune best on it, how sure that is"
    " and which accuracy to expect, without fine-tuning any."
)
PICTURE = "spaces_app/screenshots/finished.png"
THEMES = {"light": "Light", "dark": "Dark", "system": "As the system"}

# The page is not loaded again, which would stop a run; the address has Gradio's own parameter for whoever loads it.
SWITCHED = """
const system = window.matchMedia("(prefers-color-scheme: dark)");
const known = [...element.querySelectorAll("[data-theme]")].map(button => button.dataset.theme);
let chosen = new URL(window.location).searchParams.get("__theme");
if (!known.includes(chosen)) chosen = "system";
const mark = () => {
  for (const button of element.querySelectorAll("[data-theme]"))
    button.setAttribute("aria-pressed", String(button.dataset.theme === chosen));
};
const show = () => {
  document.body.classList.toggle("dark", chosen === "dark" || (chosen === "system" && system.matches));
  mark();
};
element.addEventListener("click", event => {
  const button = event.target.closest("[data-theme]");
  if (!button) return;
  chosen = button.dataset.theme;
  const address = new URL(window.location);
  address.searchParams.set("__theme", chosen);
  history.replaceState(history.state, "", address);
  show();
});
system.addEventListener("change", show);
mark();
"""


def made_footer(space_id: str | None) -> gr.HTML:
    """The component.

    Args:
        space_id: of the Space that this is, whose repository has documentation and code; None elsewhere.
    """
    return gr.HTML(footer_html(space_id), elem_id="foot", js_on_load=SWITCHED, apply_default_css=False)


def footer_html(space_id: str | None) -> str:
    """Links that open beside the page, and the switch."""
    places = {"Paper": PAPER}
    if space_id:
        places |= {"Docs": _of_space(space_id, "blob/main/README.md"), "Code": _of_space(space_id, "tree/main")}
    links = "".join(
        f'<li><a href="{escape(place)}" target="_blank" rel="noopener">{name}</a></li>'
        for name, place in places.items()
    )
    buttons = "".join(
        f'<button type="button" data-theme="{theme}" aria-pressed="false">{name}</button>'
        for theme, name in THEMES.items()
    )
    return (
        f'<nav aria-label="About lead-hub"><ul>{links}</ul></nav>'
        f'<div role="group" aria-label="Colours"><span aria-hidden="true">Colours:</span> {buttons}</div>'
    )


def preview_tags(space_id: str | None) -> str:
    """Tags for the page's head; the picture is the Space's own, so elsewhere there is none."""
    told = {"og:title": TITLE, "og:description": DESCRIPTION}
    if space_id:
        told["og:image"] = _of_space(space_id, f"resolve/main/{PICTURE}")
    tags = "".join(f'<meta property="{name}" content="{escape(text)}">' for name, text in told.items())
    return tags + f'<meta name="description" content="{escape(DESCRIPTION)}">'


def _of_space(space_id: str, place: str) -> str:
    return f"{ENDPOINT}/spaces/{space_id}/{place}"
