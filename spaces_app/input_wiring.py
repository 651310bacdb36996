"""What the inputs do before a run: say what was found, offer what there is to pick, tell what a run will take."""

from collections.abc import Sequence

import gradio as gr
from gradio.events import Dependency

from lead_hub.candidates import read_candidates
from lead_hub.errors import LeadHubError
from lead_hub.run_estimate import estimate_run
from spaces_app.events import QUIETLY, Updates
from spaces_app.inputs import Beside, Inputs, filled_from_dataset, filled_from_link, read_request
from spaces_app.request import from_link
from spaces_app.runs import look_at
from spaces_app.status import dataset_html, estimate_html, paragraph, problem, told
from spaces_app.visitors import Surroundings, visitor


def wire_inputs(
    app: gr.Blocks,
    inputs: Inputs,
    *,
    beside: Beside,
    demos: Sequence[Dependency],
    place: Surroundings,
) -> None:
    """Connect them.

    Args:
        app: the page.
        inputs: to be filled and read.
        beside: changes with them.
        demos: events that have filled in a demo's question.
        place: where the app runs.
    """
    n_rows, found, estimate, filters = gr.State({}), beside.found, beside.estimate, beside.filters

    def described(values: Updates, token: gr.OAuthToken | None) -> Updates:
        question = read_request(values, inputs)
        if not question.dataset:
            return {found: "", n_rows: {}}
        try:
            description = look_at(question, visitor(place, token=token.token if token else None), place=place)
        except LeadHubError as error:
            unknown = gr.update(choices=[], value=None, visible=False)  # another dataset's would be asked for
            return {found: problem(told(error, place)), n_rows: {}, inputs.config: unknown}
        rows = {split.name: split.n_rows for split in description.splits if split.n_rows is not None}
        return {
            found: dataset_html(description, is_demo=question.is_demo),
            n_rows: rows,
            **filled_from_dataset(description, inputs),
        }

    def estimated(values: Updates) -> Updates:
        question = read_request(values, inputs)
        if question.source == "hub":
            return {
                estimate: paragraph("The Hub is searched when the run begins; what is found decides how long it takes.")
            }
        try:
            candidates = read_candidates(question.candidates(paths_allowed=not place.is_shared))
            known = values.get(n_rows)
            in_split = known.get(question.split) if isinstance(known, dict) else None
            n_images = min(question.max_images, in_split or question.max_images)
            return {estimate: estimate_html(estimate_run(candidates, n_images=n_images))}
        except LeadHubError as error:
            return {estimate: problem(told(error, place))}

    def sourced(source: str) -> Updates:
        is_listed = source in ("index", "hub")
        return {
            filters: gr.update(visible=is_listed),
            inputs.families: gr.update(visible=is_listed),
            inputs.permissive: gr.update(visible=is_listed),
            inputs.own_candidates: gr.update(visible=source == "own"),
        }

    def restored(request: gr.Request) -> Updates:
        question = from_link(request.query_params.multi_items())
        return filled_from_link(question, inputs) if question else {inputs.dataset: gr.skip()}

    pickers = [inputs.config, inputs.split, inputs.image_column, inputs.label_column]
    looked, asking = [found, n_rows, *pickers], {*inputs.all(), n_rows}
    for event in (
        inputs.dataset.blur(described, inputs.all(), looked, **QUIETLY),
        inputs.dataset.submit(described, inputs.all(), looked, **QUIETLY),
        inputs.config.input(described, inputs.all(), looked, **QUIETLY),
    ):
        event.then(estimated, asking, [estimate], **QUIETLY)
    asked_for = [filters, inputs.families, inputs.permissive, inputs.own_candidates]
    inputs.source.change(sourced, inputs.source, asked_for, **QUIETLY)
    for component in inputs.of_question():
        component.change(estimated, asking, [estimate], **QUIETLY)
    for filled in (app.load(restored, None, [*inputs.all()], **QUIETLY), *demos):
        looked_at = filled.then(described, inputs.all(), looked, **QUIETLY)
        looked_at.then(estimated, asking, [estimate], **QUIETLY)
