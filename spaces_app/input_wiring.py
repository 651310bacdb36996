"""What the inputs do before a run: say what was found, offer what there is to pick, tell what a run will take."""

import gradio as gr

from lead_hub.candidates import read_candidates
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetDescription, describe_dataset
from lead_hub.run_estimate import estimate_run
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.inputs import Inputs, filled_from_dataset, filled_from_link, read_request
from spaces_app.request import from_link
from spaces_app.status import dataset_html, estimate_html, paragraph, problem
from spaces_app.visitors import Surroundings, visitor


def wire_inputs(
    app: gr.Blocks,
    inputs: Inputs,
    *,
    filters: Block,
    found: Block,
    estimate: Block,
    place: Surroundings,
) -> None:
    """Connect them."""

    def described(values: Updates, token: gr.OAuthToken | None) -> Updates:
        question = read_request(values, inputs)
        if not question.dataset:
            return {found: ""}
        try:
            who = visitor(place, token=token.token if token else None)
            description: DatasetDescription = describe_dataset(
                str(question.place(paths_allowed=not place.is_shared)),
                config=question.config,
                revision=question.revision,
                token=who.token,
            )
        except LeadHubError as error:
            advice = " Sign in at the top of the page if it is yours." if place.has_sign_in and token is None else ""
            return {found: problem(str(error), after=advice)}
        return {found: dataset_html(description), **filled_from_dataset(description, inputs)}

    def estimated(values: Updates) -> Updates:
        question = read_request(values, inputs)
        if question.source == "hub":
            return {
                estimate: paragraph("The Hub is searched when the run begins; what is found decides how long it takes.")
            }
        try:
            candidates = read_candidates(question.candidates(paths_allowed=not place.is_shared))
            return {estimate: estimate_html(estimate_run(candidates, n_images=question.max_images))}
        except LeadHubError as error:
            return {estimate: problem(str(error))}

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
    looked = [found, *pickers]
    inputs.dataset.blur(described, inputs.all(), looked, **QUIETLY)
    inputs.dataset.submit(described, inputs.all(), looked, **QUIETLY)
    inputs.config.input(described, inputs.all(), looked, **QUIETLY)
    asked_for = [filters, inputs.families, inputs.permissive, inputs.own_candidates]
    inputs.source.change(sourced, inputs.source, asked_for, **QUIETLY)
    for component in inputs.of_question():
        component.change(estimated, inputs.all(), [estimate], **QUIETLY)
    loaded = app.load(restored, None, [*inputs.all()], **QUIETLY)
    loaded.then(estimated, inputs.all(), [estimate], **QUIETLY)
