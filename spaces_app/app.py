"""The Gradio app, wiring only: which component calls which function. `lead-hub space` runs it, and so does a Space."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from lead_hub.demo import TARGETS
from lead_hub.errors import LeadHubError, RunCancelledError
from spaces_app.events import IN_TURN, QUIETLY, RUNS_AT_ONCE, Block, Updates
from spaces_app.inputs import (
    InputNotes,
    Inputs,
    checkpoint_inputs,
    dataset_inputs,
    filled_from_link,
    read_request,
    wire_inputs,
)
from spaces_app.programs import add_endpoints
from spaces_app.request import DEMO, RunRequest
from spaces_app.results import Results, Shown, finished, growing, made_results, shown_again, wire_results
from spaces_app.runs import Images, RunState, RunsUnderWay
from spaces_app.status import empty_html, paragraph, problem, state_html, waiting_html
from spaces_app.uploads import ShownZips, keep_for_now, unpacked
from spaces_app.visitors import Deployment, Visitor, listening_address, this_deployment, visitor
from spaces_app.zero_gpu import Follow, follow_here

STYLE = Path(__file__).with_name("style.css")
UPLOAD_BYTES = 2 * 10**9
DEMO_NAMES = {"scripts": "Writing systems", "clipart": "Clip art", "emoji": "Emoji"}


def build(deployment: Deployment) -> gr.Blocks:
    """Make the page and the endpoints for programs."""
    runs, follow = RunsUnderWay(), follow_here()
    app = gr.Blocks(title="lead-hub", delete_cache=(600, 3600), analytics_enabled=False)
    with app:
        with gr.Row(elem_id="top"):
            gr.HTML(
                "<h1>lead-hub</h1><p>Which pretrained checkpoint should you fine-tune on <em>your</em> images? Ranked"
                " without fine-tuning any.</p>",
                elem_id="title",
            )
            if deployment.has_sign_in:
                gr.LoginButton(size="md", elem_id="login", min_width=250, scale=0)
        with gr.Row(elem_id="demos"):
            gr.HTML("<p>No dataset at hand? <b>Try it:</b></p>", elem_id="try")
            demos = {target: gr.Button(DEMO_NAMES[target], size="sm", elem_id=f"try-{target}") for target in TARGETS}
        with gr.Row(equal_height=False):
            with gr.Column(elem_classes="lead-card"):
                gr.HTML("<h2>1. Your dataset</h2>")
                parts = dataset_inputs(deployment)
            with gr.Column(elem_classes="lead-card"):
                gr.HTML("<h2>2. Checkpoints to rank</h2>")
                parts |= checkpoint_inputs()
        inputs = Inputs(**{field.name: parts[field.name] for field in fields(Inputs)})  # type: ignore[arg-type]
        estimate = gr.HTML(elem_id="estimate")
        with gr.Row():
            start = gr.Button("Rank checkpoints", variant="primary", elem_id="rank")
            stop = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
        status = gr.HTML(empty_html(), elem_id="status")
        results = made_results(deployment)
        # The ticket travels with the press that it was given for: a state would be looked up when its turn comes.
        shown, ticket = gr.State(None, time_to_live=3600), gr.Textbox("", visible=False)
        controls = Controls(inputs, results, status, start, stop, shown, ticket)
        run = _Run(controls, deployment=deployment, runs=runs, follow=follow)
        heard = [start.click(run.announce, None, run.outputs(), queue=False, **QUIETLY)]
        filled = [
            button.click(_filled(RunRequest(DEMO + target, source="demo"), inputs), None, [*inputs.all()], **QUIETLY)
            for target, button in demos.items()
        ]
        heard += [event.then(run.announce, None, run.outputs(), queue=False, **QUIETLY) for event in filled]
        beside = InputNotes(parts["filters"], parts["found"], estimate)  # type: ignore[arg-type]  # named as they were made
        wire_inputs(app, inputs, beside=beside, demos=filled, deployment=deployment)
        for event in heard:
            run.follows(event)
        stop.click(run.cancel, None, [status, start, stop], queue=False, **QUIETLY)
        inputs.upload.change(run.bring, inputs.upload, None, queue=False, **QUIETLY)
        app.unload(run.leave)
        wire_results(app, results, shown, deployment=deployment)
        add_endpoints(deployment, runs, follow=follow)
    return app


@dataclass(frozen=True, eq=False)
class Controls:
    """The components that a run reads and changes."""

    inputs: Inputs
    results: Results
    status: gr.HTML
    start: gr.Button
    stop: gr.Button
    shown: gr.State
    ticket: gr.Textbox


class _Run:
    """The button that ranks, and all that it changes on the page.

    A run that a later one of the same page has replaced shows nothing any more, not even its end.
    """

    def __init__(self, controls: Controls, *, deployment: Deployment, runs: RunsUnderWay, follow: Follow) -> None:
        self._page, self._deployment, self._runs, self._follow = controls, deployment, runs, follow
        self._zips = ShownZips()

    def outputs(self) -> list[Block]:
        page = self._page
        return [*page.results.all(), page.status, page.start, page.stop, page.shown, page.ticket]

    def follows(self, heard: Dependency) -> None:
        """The run begins after this event, which has announced it."""
        page, asked = self._page, {*self._page.inputs.all(), self._page.ticket}
        # A press while another run ends must not be lost, as it is in Gradio's other modes.
        ranked = heard.then(self.rank, asked, self.outputs(), trigger_mode="multiple", **IN_TURN, **QUIETLY)
        ranked.then(self.settle, page.shown, self.outputs(), queue=False, **QUIETLY)
        ranked.failure(self.broken, page.ticket, [page.status, page.start, page.stop], queue=False, **QUIETLY)

    def rank(
        self,
        values: Updates,
        token: gr.OAuthToken | None,
        profile: gr.OAuthProfile | None,
    ) -> Iterator[Updates]:
        who = visitor(
            self._deployment, token=token.token if token else None, name=profile.username if profile else None
        )
        ticket = str(values.get(self._page.ticket))
        with self._runs.started(ticket) as cancelled:
            for updates in self._moments(values, who, cancelled):
                if not self._runs.is_shown(ticket):
                    # Gradio sends the last updates again at the end, and empties all outputs where there are none.
                    yield {self._page.status: gr.skip()}
                    return
                yield updates

    def _moments(self, values: Updates, who: Visitor, cancelled: threading.Event) -> Iterator[Updates]:
        """What the page shows of a run: its beginning, its rows, its end."""
        state, board, end = RunState("running"), None, None
        yield {self._page.status: state_html(state, self._deployment)}
        with ExitStack() as stack:
            try:
                question = read_request(values, self._page.inputs)
                images = _brought(values.get(self._page.inputs.upload), stack, cancelled)
                brought = images.name if images else ""
                question = question.about_folder(brought) if images else question
                for state in self._follow(
                    question, who, deployment=self._deployment, cancelled=cancelled, images=images
                ):
                    has_grown = state.board is not board
                    if has_grown:  # the table is sent again only with another row
                        board, end = state.board, Shown.of(question, state, self._deployment, brought=brought)
                    rows = growing(self._page.results, end) if has_grown else {}
                    yield {self._page.status: state_html(state, self._deployment), **rows}
            except RunCancelledError:
                state = RunState("cancelled")
            except LeadHubError as error:
                state = RunState("failed", error=error)
            yield {
                self._page.status: state_html(state, self._deployment),
                self._page.shown: end,
                **finished(self._page.results, end),
            }

    def buttons(self, request: gr.Request) -> Updates:
        """Cancel where there is something to cancel, also if it is another run than the one that has ended."""
        goes_on = self._runs.goes_on(str(request.session_hash))
        return {self._page.start: gr.update(interactive=not goes_on), self._page.stop: gr.update(visible=goes_on)}

    def settle(self, found: Shown | None, request: gr.Request) -> Updates:
        """After every run, and after all that it has sent."""
        updates = self.buttons(request)
        is_last = not self._runs.goes_on(str(request.session_hash))
        return {**updates, **(shown_again(self._page.results, found) if is_last else {})}

    def broken(self, ticket: str, request: gr.Request) -> Updates:
        """An error that nobody foresaw, whose traceback is in the server's log and not on the page.

        Or the run was refused before it began: the queue was full, or an input out of its bounds.
        """
        if self._runs.is_shown(ticket):  # its turn never came, and Gradio has said why
            self._runs.forget(str(request.session_hash))
            words = "The run did not begin; the message in the corner says why. Then press Rank checkpoints again."
        else:
            words = "The run stopped on an error of lead-hub itself, which the server's log has. Please report it."
        is_over = not self._runs.goes_on(str(request.session_hash))
        return {**({self._page.status: problem(words)} if is_over else {}), **self.buttons(request)}

    def announce(self, request: gr.Request) -> Updates:
        """Before its turn comes; this is not queued, so that the visitor sees at once that the button was heard."""
        page = self._page
        ticket, others = self._runs.announce(str(request.session_hash))
        return {
            page.ticket: ticket,
            page.status: waiting_html(others, at_once=RUNS_AT_ONCE),
            page.shown: None,
            **page.results.cleared(),
            **self.buttons(request),
        }

    def cancel(self, request: gr.Request) -> Updates:
        """A run that has begun shows its own end, one that has not is over already, one that has ended stays shown."""
        page, session = self._page, str(request.session_hash)
        if not self._runs.goes_on(session):
            return self.buttons(request)
        if self._runs.cancel(session):
            return {page.status: paragraph("Stopping …")}
        return {page.status: state_html(RunState("cancelled"), self._deployment), **self.buttons(request)}

    def bring(self, upload: str | None, request: gr.Request) -> None:
        self._zips.show(str(request.session_hash), Path(upload) if upload else None)

    def leave(self, request: gr.Request) -> None:
        self._runs.forget(str(request.session_hash))
        self._zips.forget(str(request.session_hash))


def _brought(upload: object, stack: ExitStack, cancelled: threading.Event) -> Images | None:
    """The images that the visitor dropped, unpacked."""
    if not isinstance(upload, str):
        return None
    archive = Path(upload)
    keep_for_now(archive)
    return Images(stack.enter_context(unpacked(archive, is_cancelled=cancelled.is_set)), archive.stem)


def _filled(question: RunRequest, inputs: Inputs) -> Callable[[], Updates]:
    return lambda: {**filled_from_link(question, inputs), inputs.upload: None}


def main(*, port: int | None = None, open_browser: bool = False, quiet: bool = False) -> None:
    """Serve the page until interrupted; on one's own machine to that machine alone."""
    deployment = this_deployment()
    app = build(deployment)
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
        ssr_mode=False,
        max_file_size=UPLOAD_BYTES,
        theme=gr.themes.Default(primary_hue="indigo", neutral_hue="slate", font=["system-ui", "sans-serif"]),
        css_paths=[STYLE],
        footer_links=["api"],
    )


if __name__ == "__main__":
    main()
