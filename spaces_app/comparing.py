"""Two ranked checkpoints side by side: figures, classes, and the images that only one of them gets right."""

from dataclasses import dataclass, fields

import gradio as gr
from huggingface_hub.constants import ENDPOINT

from lead_hub.leaderboard import side_by_side
from lead_hub.recommendation import disagreement_of
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.picture_html import disagreement_html
from spaces_app.shown import Shown
from spaces_app.status import paragraph


@dataclass(frozen=True)
class Comparing:
    """The components: which two, and how they compare."""

    first: gr.Dropdown
    second: gr.Dropdown
    compared: gr.HTML

    def all(self) -> list[Block]:
        return [getattr(self, field.name) for field in fields(self)]

    def finished(self, shown: Shown) -> Updates:
        """The first against the second, as soon as there are two."""
        choices = shown.choices()
        numbers = (0, 1) if len(choices) > 1 else (None, None)
        return {
            self.first: gr.update(choices=choices, value=numbers[0]),
            self.second: gr.update(choices=choices, value=numbers[1]),
            self.compared: compared_html(shown, *numbers),
        }


def made_comparing() -> Comparing:
    """The components, in the tab that they are made in."""
    with gr.Row():
        first = gr.Dropdown([], label="Compare", elem_id="compare-first", min_width=160)
        second = gr.Dropdown([], label="with", elem_id="compare-second", min_width=160)
    return Comparing(first, second, gr.HTML(elem_id="compared", apply_default_css=False))


def wire_comparing(comparing: Comparing, shown: gr.State) -> None:
    """Connect them."""
    asked = [shown, comparing.first, comparing.second]
    for choice in (comparing.first, comparing.second):
        choice.input(compared_html, asked, comparing.compared, **QUIETLY)


def compared_html(shown: Shown | None, first: int | None, second: int | None) -> str:
    """How two rows of what is shown compare, by their numbers from 0; pictures only where this page may show them."""
    rows = [shown.row(number) for number in (first, second)] if shown else []
    known = [row for row in rows if row is not None]
    if shown is None or len(known) < 2:
        return paragraph("Choose two ranked checkpoints.")
    one, other = known
    html = side_by_side(one, other, endpoint=ENDPOINT)
    predictions = [shown.predictions(row) for row in known]
    if one == other or predictions[0] is None or predictions[1] is None:
        return html
    return html + disagreement_html(disagreement_of(predictions[0], predictions[1]), one, other)
