"""The card that pushes score cards to the Hub, as the visitor, or with the login of one's own machine."""

from dataclasses import dataclass, fields

import gradio as gr
from huggingface_hub import get_token

from lead_hub.errors import LeadHubError
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.shown import NOT_KEPT, Shown
from spaces_app.status import problem, pushed_html, sign_in_html, told
from spaces_app.visitors import Deployment, visitor


@dataclass(frozen=True)
class Pushing:
    """The components: where to, and what came of it."""

    repository: gr.Textbox
    visibility: gr.Radio
    collection: gr.Checkbox
    push: gr.Button
    signed: gr.HTML
    pushed: gr.HTML

    def all(self) -> list[Block]:
        return [getattr(self, field.name) for field in fields(self)]


def made_pushing(deployment: Deployment) -> Pushing:
    """The components, in a card of their own."""
    with gr.Column(elem_classes="lead-card", elem_id="push-card"):
        gr.HTML("<h2>Push the score cards to the Hub</h2>")
        with gr.Row():
            repository = gr.Textbox(
                label="Dataset repository of yours", placeholder="your-name/lead-scores", max_lines=1,
                info="created if it is missing", elem_id="repository",
            )  # fmt: skip
            visibility = gr.Radio(
                [("as the ranked dataset", "as"), ("private", "private"), ("public", "public")], value="as",
                label="A new repository is", elem_id="visibility",
            )  # fmt: skip
        # Collections are more than a Space asks its visitors' leave for.
        collection = gr.Checkbox(
            label="Also keep a collection of the best checkpoints",
            visible=not deployment.is_shared,
            elem_id="collection",
        )
        push = gr.Button("Push score cards", variant="primary", elem_id="push")
        signed = gr.HTML(elem_id="signed")
        pushed = gr.HTML(elem_id="pushed")
    return Pushing(repository, visibility, collection, push, signed, pushed)


def wire_pushing(app: gr.Blocks, pushing: Pushing, shown: gr.State, *, deployment: Deployment) -> None:
    """Connect them."""

    def pushed_by_hand(
        found: Shown | None,
        repository: str,
        visibility: str,
        collection: bool,  # noqa: FBT001 - as the checkbox gives it
        token: gr.OAuthToken | None,
    ) -> str:
        who = visitor(deployment, token=token.token if token else None)
        if not who.is_signed_in or (who.token is None and get_token() is None):
            return sign_in_html(deployment, name=None, has_login=False)
        if found is None:
            return problem(NOT_KEPT)
        if not repository.strip():
            return problem("Name the dataset repository to push to, such as your-name/lead-scores.")
        private = None if visibility == "as" else visibility == "private"
        try:
            pushed = found.board.push_to_hub(
                repository.strip(), private=private, collection=collection, token=who.token
            )
        except LeadHubError as error:
            return problem(told(error, deployment))
        return pushed_html(pushed)

    def greeted(profile: gr.OAuthProfile | None) -> Updates:
        name = profile.username if profile else None
        updates: Updates = {pushing.signed: sign_in_html(deployment, name=name, has_login=get_token() is not None)}
        return {**updates, pushing.repository: f"{name}/lead-scores" if name else gr.skip()}

    pushing.push.click(
        pushed_by_hand,
        [shown, pushing.repository, pushing.visibility, pushing.collection],
        pushing.pushed,
        api_visibility="private",
    )
    app.load(greeted, None, [pushing.signed, pushing.repository], **QUIETLY)
