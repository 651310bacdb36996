"""Find out: the first checkpoints really fine-tuned, on one's own machine, and what came of it beside the prediction.

A machine of many offers none of this: its visitors are strangers to it, and trainings take hours.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import gradio as gr

from lead_hub.leaderboard import one_line, outcome_table
from lead_hub.verification import FAILED, agreement
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.kept_boards import KeptBoards
from spaces_app.shown import NOT_KEPT, Shown
from spaces_app.status import bar, counted, paragraph, problem
from spaces_app.verification_runs import VerificationChoices, VerificationState, followed_verification

MODES = (("all weights, as the prediction means it", "full"), ("a linear head alone, quick", "probe"))
BUDGETS = (("10 minutes", "10m"), ("30 minutes", "30m"), ("2 hours", "2h"), ("8 hours", "8h"))
LONGEST_NOTE = 300


@dataclass(frozen=True)
class Verifying:
    """The components: how many, how, and what came of it; never offered on a machine of many."""

    panel: gr.Accordion
    is_offered: bool
    top: gr.Slider
    mode: gr.Radio
    budget: gr.Dropdown
    flip: gr.Checkbox
    begin: gr.Button
    stop: gr.Button
    progress: gr.HTML
    outcome: gr.HTML

    def all(self) -> list[Block]:
        return [getattr(self, field.name) for field in fields(self) if field.name != "is_offered"]

    def finished(self, shown: Shown) -> Updates:
        """Offered where it can be done: on one's own machine, of images that are still there."""
        return {
            self.panel: gr.update(visible=self.is_offered and bool(shown.board.rows) and not shown.brought),
            self.progress: "",
            self.outcome: outcome_html(shown),
        }

    def choices(self, values: Updates) -> VerificationChoices:
        """As the visitor has made them."""
        mode, budget, flip = (values[part] for part in (self.mode, self.budget, self.flip))
        return VerificationChoices(int(str(values[self.top])), str(mode), str(budget), bool(flip))


def made_verifying(*, is_offered: bool) -> Verifying:
    """The components, hidden until there is a board that can be verified."""
    with gr.Accordion("Fine-tune the first ones and compare", open=False, visible=False, elem_id="verify") as panel:
        with gr.Row():
            top = gr.Slider(1, 10, value=3, step=1, label="How many", info="from the first on", elem_id="verify-top")
            mode = gr.Radio(MODES, value="full", label="What learns", elem_id="verify-mode", min_width=280)
            budget = gr.Dropdown(BUDGETS, value="30m", label="Time for all of them", elem_id="verify-budget")
        flip = gr.Checkbox(value=True, label="Mirror training images (not for letters)", elem_id="verify-flip")
        with gr.Row():
            begin = gr.Button("Fine-tune them here", variant="primary", size="sm", elem_id="verify-begin", scale=0)
            stop = gr.Button("Stop", variant="stop", size="sm", visible=False, elem_id="verify-stop", scale=0)
        progress = gr.HTML(elem_id="verify-progress")
        outcome = gr.HTML(elem_id="verify-outcome", apply_default_css=False)
    return Verifying(panel, is_offered, top, mode, budget, flip, begin, stop, progress, outcome)


class VerificationsUnderWay:
    """Of each page its one verification, so that it can be stopped."""

    def __init__(self) -> None:
        self._cancelled: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    @contextmanager
    def started(self, session: str) -> Iterator[threading.Event]:
        """A verification of the session within the block, which stops an earlier one."""
        cancelled = threading.Event()
        with self._lock:
            before = self._cancelled.get(session)
            self._cancelled[session] = cancelled
        if before is not None:
            before.set()
        try:
            yield cancelled
        finally:
            cancelled.set()
            with self._lock:
                if self._cancelled.get(session) is cancelled:
                    del self._cancelled[session]

    def stop(self, session: str) -> bool:
        """Stop it; tells whether there was one."""
        with self._lock:
            cancelled = self._cancelled.get(session)
        if cancelled is None:
            return False
        cancelled.set()
        return True


def wire_verifying(app: gr.Blocks, verifying: Verifying, shown: gr.State, *, run: gr.Textbox, kept: KeptBoards) -> None:
    """Connect them; never on a machine of many.

    Args:
        app: the page.
        verifying: the components.
        shown: the board, which gets the outcomes.
        run: id of the page's run.
        kept: boards of runs by their id, which get them as well.
    """
    under_way = VerificationsUnderWay()

    def verified(values: Updates, request: gr.Request) -> Iterator[Updates]:
        found = values[shown]
        if not isinstance(found, Shown):
            yield {verifying.progress: problem(NOT_KEPT)}
            return
        choices = verifying.choices(values)
        mode = choices.mode
        with under_way.started(str(request.session_hash)) as cancelled:
            # Not before there is something to stop: a press as soon as the button is there would be lost.
            yield {verifying.begin: gr.update(interactive=False), verifying.stop: gr.update(visible=True)}
            before = found
            for state in followed_verification(found, choices, cancelled=cancelled):
                updates: Updates = {verifying.progress: progress_html(state, mode=mode)}
                if state.shown is not before:
                    before = state.shown
                    kept.add_outcomes(str(values[run]), before)
                    updates |= {shown: before, verifying.outcome: outcome_html(before, mode=mode)}
                yield updates
        yield {verifying.begin: gr.update(interactive=True), verifying.stop: gr.update(visible=False)}

    def stopped(request: gr.Request) -> Updates:
        is_stopping = under_way.stop(str(request.session_hash))
        return {verifying.progress: paragraph("Stopping after this step …") if is_stopping else gr.skip()}

    def left(request: gr.Request) -> None:
        under_way.stop(str(request.session_hash))

    asked: set[Block] = {shown, run, verifying.top, verifying.mode, verifying.budget, verifying.flip}
    changed = [verifying.progress, verifying.begin, verifying.stop, verifying.outcome, shown]
    verifying.begin.click(verified, asked, changed, concurrency_limit=1, **QUIETLY)
    verifying.stop.click(stopped, None, [verifying.progress], queue=False, **QUIETLY)
    app.unload(left)


def progress_html(state: VerificationState, *, mode: str) -> str:
    """Where it is, or how it ended."""
    rows = state.shown.board.rows
    n_done = sum(row.finetuned is not None and row.finetuned.mode == mode for row in rows)
    if state.error is not None:
        return problem(f"Fine-tuning stopped: {state.error}.")
    if state.outcome == "cancelled":
        return paragraph(f"Stopped with {counted(n_done)} fine-tuned. Finished trainings are kept for the next time.")
    if state.outcome == "finished":
        failed = [row.note[row.note.index(FAILED) :] for row in rows if FAILED in row.note]
        if failed:
            return problem(f"{counted(n_done)} fine-tuned; {one_line('; '.join(failed), at_most=LONGEST_NOTE)}")
        return paragraph(f"Done: {counted(n_done)} fine-tuned, the outcome beside the prediction below.")
    at = state.progress
    if at is None:
        return bar(0.0, "Reading the images …")
    name = at.checkpoint.rstrip("/").rsplit("/", maxsplit=1)[-1]
    epochs = f", epoch {at.n_epochs} of at most {at.total_epochs}" if at.total_epochs else ""
    return bar(state.share_done, f"Fine-tuning {at.number} of {at.n_checkpoints}: {name}{epochs}")


def outcome_html(shown: Shown, *, mode: str | None = None) -> str:
    """What fine-tuning gave, where it has given anything.

    Args:
        shown: the board.
        mode: of the trainings whose agreement with the order is told; None: as the best one of them.
    """
    modes = [row.finetuned.mode for row in shown.board.rows if row.finetuned]
    if not modes:
        return ""
    found = agreement(shown.board, mode=mode or modes[0])
    return outcome_table(shown.board, words=found.in_words if found else "")
