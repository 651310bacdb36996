"""The button that ranks: all that it changes on the page, from the press to the answer, or to what is found again."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from lead_hub.errors import LeadHubError, RunCancelledError
from spaces_app.addresses import Addresses, found_again_html, owners_of
from spaces_app.events import IN_TURN, QUIETLY, RUNS_AT_ONCE, Block, Updates
from spaces_app.focus import TO_ANSWER
from spaces_app.inputs import Inputs, filled_from_link, read_request
from spaces_app.kept_boards import KeptBoard, KeptBoards
from spaces_app.left_runs import LeftRun, LeftRuns
from spaces_app.results import Results, finished, growing, looked_at, shown_again
from spaces_app.runs import Images, RunState, RunsUnderWay
from spaces_app.shown import Shown
from spaces_app.status import asked_html, paragraph, problem, state_html, told, waiting_html
from spaces_app.uploads import ShownZips, keep_for_now, unpacked
from spaces_app.visitors import Deployment, Visitor, visitor
from spaces_app.zero_gpu import Follow

WATCH_S = 1.0  # between two looks at a run that goes on without its page


@dataclass(frozen=True, eq=False)
class Folds:
    """What gives way to the answer, and comes back.

    Attributes:
        form: the inputs.
        asked: the one line that stands in their place.
        asked_text: what it says.
        example: what a visitor sees before the first run.
    """

    form: gr.Column
    asked: gr.Row
    asked_text: gr.HTML
    example: gr.HTML

    def all(self) -> list[Block]:
        return [self.form, self.asked, self.asked_text, self.example]

    def folded(self, html: str) -> Updates:
        return {
            self.form: gr.update(visible=False),
            self.asked: gr.update(visible=True),
            self.asked_text: html,
            self.example: gr.update(visible=False),
        }

    def opened(self) -> Updates:
        return {self.form: gr.update(visible=True), self.asked: gr.update(visible=False)}


@dataclass(frozen=True, eq=False)
class Controls:
    """The components that a run reads and changes."""

    inputs: Inputs
    results: Results
    folds: Folds
    addresses: Addresses
    status: gr.HTML
    start: gr.Button
    stop: gr.Button
    shown: gr.State
    ticket: gr.Textbox


class RankingRun:
    """The button that ranks, and all that it changes on the page.

    A run that a later one of the same page has replaced shows nothing any more, not even its end.
    """

    def __init__(
        self, controls: Controls, *, deployment: Deployment, runs: RunsUnderWay, kept: KeptBoards, follow: Follow
    ) -> None:
        self._page, self._deployment, self._runs, self._follow = controls, deployment, runs, follow
        self._zips, self._kept, self._left = ShownZips(), kept, LeftRuns()

    def outputs(self) -> list[Block]:
        page = self._page
        parts = [*page.results.all(), *page.folds.all(), *page.addresses.all()]
        return [*parts, page.status, page.start, page.stop, page.shown, page.ticket]

    def follows(self, heard: Dependency) -> None:
        """The run begins after this event, which has announced it."""
        page = self._page
        asked = {*page.inputs.all(), *page.addresses.known(), page.ticket, page.addresses.run}
        # A press while another run ends must not be lost, as it is in Gradio's other modes.
        ranked = heard.then(self.rank, asked, self.outputs(), trigger_mode="multiple", **IN_TURN, **QUIETLY)
        of_run = {page.shown, page.addresses.run, *page.addresses.known()}
        settled = ranked.then(self.settle, of_run, self.outputs(), queue=False, **QUIETLY)
        settled.then(None, None, None, js=TO_ANSWER, api_visibility="private")
        changed = [page.status, page.start, page.stop, page.folds.form, page.folds.asked]
        ranked.failure(self.broken, page.ticket, changed, queue=False, **QUIETLY)

    def rank(
        self,
        values: Updates,
        token: gr.OAuthToken | None,
        profile: gr.OAuthProfile | None,
    ) -> Iterator[Updates]:
        who = self._who(token, profile)
        ticket = str(values.get(self._page.ticket))
        with ExitStack() as stack:
            cancelled = stack.enter_context(self._runs.started(ticket))
            moments = self._moments(values, who, cancelled)
            try:
                for updates in moments:
                    if not self._runs.is_shown(ticket):
                        break
                    yield updates
                else:
                    return
            except GeneratorExit:  # the page was closed
                if not cancelled.is_set():
                    self._go_on(moments, self._left_run(values, who, cancelled), stack)
                raise
            if not cancelled.is_set():
                self._go_on(moments, self._left_run(values, who, cancelled), stack)
            # Gradio sends the last updates again at the end, and empties all outputs where there are none.
            yield {self._page.status: gr.skip()}

    def _left_run(self, values: Updates, who: Visitor, cancelled: threading.Event) -> LeftRun | None:
        """None of a question that cannot be asked, whose run is over."""
        page = self._page
        try:
            question = read_request(values, page.inputs)
        except LeadHubError:
            return None
        upload = values.get(page.inputs.upload)
        return LeftRun(
            run_id=str(values.get(page.addresses.run)),
            owner=next(iter(owners_of(who, values.get(page.addresses.browser), self._deployment)), ""),
            question=question,
            is_of_zip=isinstance(upload, str),
            cancelled=cancelled,
        )

    def _go_on(self, moments: Iterator[Updates], run: LeftRun | None, stack: ExitStack) -> None:
        """Without the page, in a thread of its own: what is found is kept for the run's address.

        Args:
            moments: of the run, as its page had them so far.
            run: to be found again by its owner.
            stack: what is over when the run is.
        """
        if run is None:
            return
        still_open = stack.pop_all()
        self._left.add(run)

        def go_on() -> None:
            try:
                with still_open:
                    for updates in moments:
                        self._left.tell(run, str(updates.get(self._page.status, run.status)))
            finally:
                self._left.end(run)

        threading.Thread(target=go_on, name="lead-hub-left-run", daemon=True).start()

    def _moments(self, values: Updates, who: Visitor, cancelled: threading.Event) -> Iterator[Updates]:
        """What the page shows of a run: its beginning, its rows, its end."""
        state, board, end, sample = RunState("running"), None, None, None
        run_id = str(values.get(self._page.addresses.run))
        owner = next(iter(owners_of(who, values.get(self._page.addresses.browser), self._deployment)), "")
        yield {self._page.status: state_html(state, self._deployment)}
        with ExitStack() as stack:
            stack.callback(self._kept.leave, run_id)
            try:
                question = read_request(values, self._page.inputs)
                images = _brought(values.get(self._page.inputs.upload), stack, cancelled)
                brought = images.name if images else ""
                question = question.about_folder(brought) if images else question
                for state in self._follow(
                    question, who, deployment=self._deployment, cancelled=cancelled, images=images
                ):
                    if state.pictures.sample is not sample:
                        sample = state.pictures.sample
                        yield looked_at(self._page.results, state.pictures)
                    has_grown = state.board is not board
                    if has_grown:  # the table is sent again only with another row
                        board, end = state.board, Shown.of(question, state, self._deployment, brought=brought)
                        self._keep(run_id, end, state, owner=owner)
                    rows = growing(self._page.results, end) if has_grown else {}
                    yield {self._page.status: state_html(state, self._deployment), **rows}
            except RunCancelledError:
                state = RunState("cancelled")
            except LeadHubError as error:
                state = RunState("failed", error=error)
            self._keep(run_id, end, state, owner=owner)
            has_rows = end is not None and bool(end.board.rows)
            reopened: Updates = {} if has_rows else self._page.folds.opened()  # to be asked otherwise
            yield {
                self._page.status: state_html(state, self._deployment),
                self._page.shown: end,
                **finished(self._page.results, end),
                **reopened,
            }

    def _who(self, token: gr.OAuthToken | None, profile: gr.OAuthProfile | None) -> Visitor:
        name = profile.username if profile else None
        return visitor(self._deployment, token=token.token if token else None, name=name)

    def _keep(self, run_id: str, shown: Shown | None, state: RunState, *, owner: str) -> None:
        """For its address."""
        if shown is not None:
            self._kept.keep(run_id, KeptBoard(shown, state.outcome, owner))

    def opened(
        self,
        browser: object,
        recent: object,
        request: gr.Request,
        token: gr.OAuthToken | None,
        profile: gr.OAuthProfile | None,
    ) -> Updates:
        """The run that the page's address names, found again for whoever may see it."""
        page = self._page
        updates = page.addresses.opened(browser, recent)
        run_id = request.query_params.get("run")
        if run_id is None:
            return updates
        who = self._who(token, profile)
        owners = owners_of(who, browser, self._deployment)
        kept, left = self._kept.find(run_id, owners=owners), self._left.find(run_id, owners=owners)
        updates |= {page.status: left.status if left else found_again_html(kept), page.addresses.run: run_id}
        if kept is None:
            return {**updates, **self._asked_before(left)}
        shown = kept.shown
        return {
            **updates,
            page.shown: shown,
            **filled_from_link(shown.question, page.inputs),
            **page.folds.folded(asked_html(shown.question, brought=bool(shown.brought))),
            **finished(page.results, shown),
        }

    def _asked_before(self, left: LeftRun | None) -> Updates:
        """The question of a run that goes on and has no row yet."""
        if left is None:
            return {}
        asked = asked_html(left.question, brought=left.is_of_zip)
        return {**filled_from_link(left.question, self._page.inputs), **self._page.folds.folded(asked)}

    async def watch(
        self,
        run_id: str,
        browser: object,
        token: gr.OAuthToken | None,
        profile: gr.OAuthProfile | None,
    ) -> AsyncIterator[Updates]:
        """A page that was opened at the address of a run that goes on follows it to its end; its owner may stop it."""
        page = self._page
        who = self._who(token, profile)
        owners = owners_of(who, browser, self._deployment)
        board, has_followed = None, False
        while True:
            kept, left = self._kept.find(run_id, owners=owners), self._left.find(run_id, owners=owners)
            if left is None and (kept is None or kept.outcome != "running"):
                break
            has_followed = True
            rows = {}
            if kept is not None and kept.shown.board is not board:
                board, rows = kept.shown.board, growing(page.results, kept.shown)
            is_stoppable = left is not None and not left.cancelled.is_set()
            yield {
                page.status: left.status if left else found_again_html(kept),
                page.stop: gr.update(visible=is_stoppable),
                page.start: gr.update(interactive=left is None),
                **rows,
            }
            await asyncio.sleep(WATCH_S)
        if not has_followed:
            yield {page.status: gr.skip()}
            return
        over: Updates = {page.stop: gr.update(visible=False), page.start: gr.update(interactive=True)}
        found: Updates = {page.status: found_again_html(kept)}
        if kept is not None:
            found |= {page.shown: kept.shown, **finished(page.results, kept.shown)}
        yield {**found, **over}

    def buttons(self, request: gr.Request) -> Updates:
        """Cancel where there is something to cancel, also if it is another run than the one that has ended."""
        goes_on = self._runs.goes_on(str(request.session_hash))
        return {self._page.start: gr.update(interactive=not goes_on), self._page.stop: gr.update(visible=goes_on)}

    def settle(self, values: Updates, request: gr.Request) -> Updates:
        """After every run, and after all that it has sent."""
        updates = self.buttons(request)
        if self._runs.goes_on(str(request.session_hash)):
            return updates
        found = values.get(self._page.shown)
        shown = found if isinstance(found, Shown) else None
        return {**updates, **shown_again(self._page.results, shown), **self._listed(values, shown)}

    def _listed(self, values: Updates, shown: Shown | None) -> Updates:
        """What the list of the last runs says of it now that it is over."""
        run_id, addresses = str(values.get(self._page.addresses.run)), self._page.addresses
        if shown is None:
            return addresses.ended(values, run_id)
        sample = shown.pictures.sample
        if sample is None or not sample.classes[0].jpegs or not KeptBoard(shown, "finished", "").is_public:
            return {}
        return addresses.pictured(values, run_id, sample.classes[0].jpegs[0])

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
        said: Updates = {self._page.status: problem(words), **self._page.folds.opened()}
        return {**(said if is_over else {}), **self.buttons(request)}

    def announce(self, values: Updates, request: gr.Request) -> Updates:
        """Before its turn comes; this is not queued, so that the visitor sees at once that the button was heard.

        The form folds into one line, and its place goes to what becomes of the run.
        """
        page = self._page
        ticket, others = self._runs.announce(str(request.session_hash))
        return {
            page.ticket: ticket,
            page.status: waiting_html(others, at_once=RUNS_AT_ONCE),
            page.shown: None,
            **page.results.cleared(),
            **page.folds.folded(self._asked(values)),
            **page.addresses.begun(values, label=self._label(values)),
            **self.buttons(request),
        }

    def _asked(self, values: Updates) -> str:
        try:
            question = read_request(values, self._page.inputs)
        except LeadHubError as error:
            return problem(told(error, self._deployment))
        return asked_html(question, brought=values.get(self._page.inputs.upload) is not None)

    def _label(self, values: Updates) -> str:
        upload = values.get(self._page.inputs.upload)
        return Path(upload).stem if isinstance(upload, str) else str(values.get(self._page.inputs.dataset) or "")

    def cancel(
        self,
        run_id: str,
        browser: object,
        request: gr.Request,
        token: gr.OAuthToken | None,
        profile: gr.OAuthProfile | None,
    ) -> Updates:
        """A run that has begun shows its own end, one that has not is over already, one that has ended stays shown."""
        page, session = self._page, str(request.session_hash)
        if not self._runs.goes_on(session):
            who = self._who(token, profile)
            left = self._left.find(run_id, owners=owners_of(who, browser, self._deployment))
            if left is None:
                return self.buttons(request)
            left.cancelled.set()
            return {page.status: paragraph("Stopping …")}
        if self._runs.cancel(session):
            return {page.status: paragraph("Stopping …")}
        return {page.status: state_html(RunState("cancelled"), self._deployment), **self.buttons(request)}

    def bring(self, upload: str | None, request: gr.Request) -> None:
        self._zips.show(str(request.session_hash), Path(upload) if upload else None)

    def leave(self, request: gr.Request) -> None:
        self._runs.leave(str(request.session_hash))
        self._zips.forget(str(request.session_hash))


def _brought(upload: object, stack: ExitStack, cancelled: threading.Event) -> Images | None:
    """The images that the visitor dropped, unpacked."""
    if not isinstance(upload, str):
        return None
    archive = Path(upload)
    keep_for_now(archive)
    return Images(stack.enter_context(unpacked(archive, is_cancelled=cancelled.is_set)), archive.stem)
