"""Pictures of a dataset as soon as it is found, before anything is pressed: for the visitor who named it alone."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import gradio as gr

from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetDescription
from spaces_app.events import QUIETLY, Updates
from spaces_app.inputs import Inputs, read_request
from spaces_app.picture_html import sample_html, too_large_html
from spaces_app.request import RunRequest
from spaces_app.status import problem, told
from spaces_app.uploads import keep_for_now, unpacked
from spaces_app.visitor_reading import LOOK_S, is_small, pictures_of
from spaces_app.visitors import Deployment, Visitor, visitor

LOOKS_AT_ONCE = 2


def wire_looking(
    triggers: Sequence[Callable[..., object]],
    inputs: Inputs,
    *,
    known: gr.State,
    pictures: gr.HTML,
    deployment: Deployment,
) -> None:
    """Connect them.

    Args:
        triggers: listeners of events after which there may be something else to look at.
        inputs: name the dataset, or hold a zip.
        known: what was found of the dataset.
        pictures: where they are shown.
        deployment: where the app runs.
    """
    looked_for = gr.State("")

    def looked(values: Updates, token: gr.OAuthToken | None) -> Updates:
        try:
            question = read_request(values, inputs)
        except LeadHubError:  # said beside the inputs
            return {pictures: "", looked_for: ""}
        upload = values.get(inputs.upload)
        archive = Path(upload) if isinstance(upload, str) else None
        description = values.get(known)
        sought = repr((archive, description, question.split, question.image_column, question.label_column))
        if sought == values.get(looked_for):  # whoever only passes by with Tab
            return {pictures: gr.skip(), looked_for: gr.skip()}
        who = visitor(deployment, token=token.token if token else None)
        if archive is None and not isinstance(description, DatasetDescription):
            return {pictures: "", looked_for: sought}
        if archive is None and isinstance(description, DatasetDescription) and not is_small(description):
            return {pictures: too_large_html(description.download_bytes), looked_for: sought}
        return {pictures: _seen(question, who, archive=archive, deployment=deployment), looked_for: sought}

    asked = {*inputs.all(), known, looked_for}
    for trigger in triggers:
        trigger(
            looked,
            asked,
            [pictures, looked_for],
            concurrency_limit=LOOKS_AT_ONCE,
            concurrency_id="looks",
            **QUIETLY,
        )


def _seen(question: RunRequest, who: Visitor, *, archive: Path | None, deployment: Deployment) -> str:
    """The pictures, or why there are none."""
    try:
        if archive is not None:
            keep_for_now(archive)
        with unpacked(archive, within_s=LOOK_S) if archive else nullcontext() as folder:
            named = question.about_folder(archive.stem) if archive else question
            sample = pictures_of(named, who, deployment=deployment, images=folder)
    except LeadHubError as error:
        return problem(told(error, deployment))
    return sample_html(sample) if sample else too_large_html(None)
