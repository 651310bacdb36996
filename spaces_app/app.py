"""The Gradio app, wiring only: which component calls which function. `lead-hub space` runs it, and so does a Space."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import gradio as gr

from lead_hub.checkpoint_outputs import memory_shared_by_threads
from lead_hub.demo import TARGETS
from lead_hub.errors import LeadHubError
from lead_hub.hub import assets_folder
from spaces_app.addresses import SHOW_ADDRESS, made_addresses
from spaces_app.agents import hide_what_is_no_tool, speaking_json
from spaces_app.demo_buttons import pictures_style
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.example import example_html
from spaces_app.focus import TO_DATASET, TO_STATUS
from spaces_app.footer import made_footer, preview_tags
from spaces_app.inputs import InputNotes, Inputs, filled_from_link, made_inputs, wire_inputs
from spaces_app.kept_boards import KeptBoards
from spaces_app.look import STYLE, scripts, theme
from spaces_app.looking import wire_looking
from spaces_app.programs import add_endpoints
from spaces_app.ranking import Controls, Folds, RankingRun
from spaces_app.request import DEMO, RunRequest
from spaces_app.results import made_results, wire_results
from spaces_app.runs import RunsUnderWay
from spaces_app.searching import wire_searching
from spaces_app.status import empty_html
from spaces_app.visitors import Deployment, listening_address, this_deployment
from spaces_app.zero_gpu import follow_here

UPLOAD_BYTES = 2 * 10**9
DEMO_NAMES = {"photographs": "Photographs", "scripts": "Writing systems", "clipart": "Clip art", "emoji": "Emoji"}


def build(deployment: Deployment) -> gr.Blocks:
    """Make the page and the endpoints for programs."""
    runs, kept, follow = RunsUnderWay(), KeptBoards(assets_folder("boards")), follow_here()
    app = gr.Blocks(title="lead-hub", delete_cache=(600, 3600), analytics_enabled=False)
    with app:
        demos = _header(deployment)
        page = _made_page(deployment)
        controls = page.controls
        inputs, addresses, folds = controls.inputs, controls.addresses, controls.folds
        run = RankingRun(controls, deployment=deployment, runs=runs, kept=kept, follow=follow)
        asked_with = {*inputs.all(), *addresses.known()}
        announced: Announced = {"fn": run.announce, "inputs": asked_with, "outputs": run.outputs()}
        heard = [controls.start.click(**announced, queue=False, **QUIETLY)]
        filled = [
            button.click(_filled(RunRequest(DEMO + target, source="demo"), inputs), None, [*inputs.all()], **QUIETLY)
            for target, button in demos.items()
        ]
        heard += [event.then(**announced, queue=False, **QUIETLY) for event in filled]
        notes = page.notes
        taken = wire_searching(inputs, datasets=notes.datasets, checkpoints=notes.checkpoints, deployment=deployment)
        known, triggers = wire_inputs(app, inputs, beside=notes, named_by=[taken], demos=filled, deployment=deployment)
        wire_looking(triggers, inputs, known=known, pictures=page.pictures, deployment=deployment)
        for event in heard:
            event.then(None, None, None, js=TO_STATUS, api_visibility="private")
            event.then(None, addresses.run, None, js=SHOW_ADDRESS, api_visibility="private")
            run.follows(event)
        stopped = [controls.status, controls.start, controls.stop]
        controls.stop.click(run.cancel, [addresses.run, addresses.browser], stopped, queue=False, **QUIETLY)
        page.change.click(folds.opened, None, [folds.form, folds.asked], queue=False, **QUIETLY).then(
            None, None, None, js=TO_DATASET, api_visibility="private"
        )
        inputs.upload.change(run.bring, inputs.upload, None, queue=False, **QUIETLY)
        app.unload(run.leave)
        opened = app.load(run.opened, addresses.known(), [*run.outputs(), *inputs.all()], **QUIETLY)
        opened.then(run.watch, [addresses.run, addresses.browser], run.outputs(), concurrency_limit=None, **QUIETLY)
        wire_results(app, controls.results, controls.shown, run=addresses.run, kept=kept, deployment=deployment)
        add_endpoints(deployment, runs, follow=follow)
    return app


@dataclass(frozen=True, eq=False)
class Page:
    """The components of the page below its header.

    Attributes:
        controls: what a run reads and changes.
        change: brings the form back.
        notes: what stands beside the inputs.
        pictures: of the dataset that the form names.
    """

    controls: Controls
    change: gr.Button
    notes: InputNotes
    pictures: gr.HTML


def _made_page(deployment: Deployment) -> Page:
    with gr.Row(visible=False, elem_id="asked") as asked:
        asked_text = gr.HTML(elem_id="asked-text")
        change = gr.Button("Change", size="sm", elem_id="change", min_width=120, scale=0)
    with gr.Column(elem_id="form", elem_classes="lead-card") as form:
        inputs, notes, start = made_inputs(deployment)
        pictures = gr.HTML(elem_id="pictures", apply_default_css=False)
        listed = gr.HTML(elem_id="recent", apply_default_css=False)
    addresses = made_addresses(listed)
    with gr.Row(elem_id="progress"):
        status = gr.HTML(empty_html(), elem_id="status")
        stop = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel", min_width=120, scale=0)
    example = gr.HTML(example_html(), elem_id="example", apply_default_css=False)
    results = made_results(deployment)
    made_footer(deployment.space_id)
    # The ticket travels with the press that it was given for: a state would be looked up when its turn comes.
    shown, ticket = gr.State(None, time_to_live=3600), gr.Textbox("", visible=False)
    folds = Folds(form, asked, asked_text, example)
    controls = Controls(inputs, results, folds, addresses, status, start, stop, shown, ticket)
    return Page(controls, change, notes, pictures)


def _header(deployment: Deployment) -> dict[str, gr.Button]:
    """What this is, and the buttons that try it on an embedded dataset, by its name."""
    with gr.Row(elem_id="top"):
        gr.HTML(
            "<h1>lead-hub</h1><p>Which pretrained checkpoint should you fine-tune on <em>your</em> images?</p>",
            elem_id="title",
        )
        with gr.Row(elem_id="demos"):
            gr.HTML(f"{pictures_style()}<p>No dataset at hand? <b>Try it:</b></p>", elem_id="try")
            demos = {name: gr.Button(DEMO_NAMES[name], size="sm", elem_id=f"try-{name}") for name in TARGETS}
        if deployment.has_sign_in:
            gr.LoginButton(size="md", elem_id="login", min_width=250, scale=0)
    return demos


class Announced(TypedDict):
    """What every press on a button that ranks calls first."""

    fn: Callable[..., Updates]
    inputs: set[Block]
    outputs: list[Block]


def _filled(question: RunRequest, inputs: Inputs) -> Callable[[], Updates]:
    return lambda: {**filled_from_link(question, inputs), inputs.upload: None}


def main(*, port: int | None = None, open_browser: bool = False, quiet: bool = False) -> None:
    """Serve the page until interrupted; on one's own machine to that machine alone."""
    memory_shared_by_threads()  # runs are on threads of their own
    deployment = this_deployment()
    app = build(deployment)
    hide_what_is_no_tool(app)
    app.queue(max_size=200, default_concurrency_limit=8)
    try:
        _launch(app, deployment, port=port, open_browser=open_browser, quiet=quiet)
    except OSError as error:
        if "port" not in str(error):
            raise
        where = f"port {port}" if port else "a port from 7860 on"
        raise LeadHubError(f"the page needs {where}, found it taken ({error}): name another with --port") from error


def _launch(app: gr.Blocks, deployment: Deployment, *, port: int | None, open_browser: bool, quiet: bool) -> None:
    app.launch(
        server_name=listening_address(),
        share=None if deployment.is_shared else False,  # in a notebook Gradio would open a tunnel unasked
        server_port=port,
        inbrowser=open_browser,
        quiet=quiet,
        mcp_server=True,
        app_kwargs={"lifespan": speaking_json(app)},
        ssr_mode=False,
        max_file_size=UPLOAD_BYTES,
        theme=theme(),
        js=scripts(),
        css_paths=[STYLE],
        head=preview_tags(deployment.space_id),
        footer_links=["api"],
    )


if __name__ == "__main__":
    main()
