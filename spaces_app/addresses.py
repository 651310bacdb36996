"""The address of a run, `?run=ID`: set when the run begins, read when a page is opened; a browser's last runs."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import gradio as gr

from lead_hub.leaderboard import bdi
from spaces_app.events import Block, Updates
from spaces_app.kept_boards import RUN_ID, KeptBoard
from spaces_app.status import counted, paragraph, problem
from spaces_app.visitors import Deployment, Visitor

MOST_RECENT = 8
LONGEST_LABEL = 60
NO_SUCH_RUN = (
    "There is no result at this address for you. Results are kept for a week; those of private data or checkpoints for"
    " an hour, and for whoever ranked them alone. Name the dataset and rank again."
)
# What the browser stores there is its own; fixed keys let a restarted server find it again.
OBSCURED_WITH = "lead-hub-in-browser"
SHOW_ADDRESS = """(id) => {
  const address = new URL(window.location);
  for (const key of [...address.searchParams.keys()]) if (!key.startsWith("__")) address.searchParams.delete(key);
  if (id) address.searchParams.set("run", id);
  history.replaceState(history.state, "", address);
}"""


@dataclass(frozen=True, eq=False)
class Addresses:
    """The components that know of runs.

    Attributes:
        run: id of the page's run; hidden.
        browser: what tells this browser from others, kept there.
        recent: id and name of its last runs, kept there.
        listed: these, as links.
    """

    run: gr.Textbox
    browser: gr.BrowserState
    recent: gr.BrowserState
    listed: gr.HTML

    def all(self) -> list[Block]:
        return [self.run, self.browser, self.recent, self.listed]

    def known(self) -> list[gr.BrowserState]:
        """What the browser keeps."""
        return [self.browser, self.recent]

    def begun(self, values: Mapping[Block, object], *, label: str) -> Updates:
        """Another run of this browser."""
        run_id = uuid.uuid4().hex
        recent = [[run_id, label[:LONGEST_LABEL]], *readable(values.get(self.recent))][:MOST_RECENT]
        return {self.run: run_id, self.recent: recent, self.listed: recent_html(recent)}

    def ended(self, values: Mapping[Block, object], run_id: str) -> Updates:
        """A run that found nothing has nothing to come back to."""
        recent = [entry for entry in readable(values.get(self.recent)) if entry[0] != run_id]
        return {self.recent: recent, self.listed: recent_html(recent)}

    def opened(self, browser: object, recent: object) -> Updates:
        """What a page knows of its browser."""
        is_known = isinstance(browser, str) and RUN_ID.fullmatch(browser)
        return {self.browser: browser if is_known else uuid.uuid4().hex, self.listed: recent_html(readable(recent))}


def made_addresses() -> Addresses:
    return Addresses(
        run=gr.Textbox("", visible=False),
        browser=gr.BrowserState("", storage_key="lead-hub-browser", secret=OBSCURED_WITH),
        recent=gr.BrowserState([], storage_key="lead-hub-runs", secret=OBSCURED_WITH),
        listed=gr.HTML(elem_id="recent"),
    )


def owners_of(who: Visitor, browser: object, deployment: Deployment) -> tuple[str, ...]:
    """As whom a visitor may see what not everybody may; the first one owns what the visitor ranks."""
    if not deployment.is_shared:
        return ("machine",)
    names = [f"hub:{who.name}"] if who.name and who.is_signed_in else []
    names += [f"browser:{browser}"] if isinstance(browser, str) and RUN_ID.fullmatch(browser) else []
    return tuple(names)


def readable(recent: object) -> list[list[str]]:
    """The last runs, of what a browser says they are."""
    entries = recent if isinstance(recent, list) else []
    return [
        [entry[0], entry[1][:LONGEST_LABEL]]
        for entry in entries[:MOST_RECENT]
        if isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)
        if RUN_ID.fullmatch(entry[0])
    ]


def recent_html(recent: list[list[str]]) -> str:
    """Links to the last runs."""
    if not recent:
        return ""
    links = "".join(f'<li><a href="?run={escape(run_id)}">{bdi(label)}</a></li>' for run_id, label in recent)
    return f'<nav aria-label="Your last runs"><p>Your last runs:</p><ul>{links}</ul></nav>'


def found_again_html(kept: KeptBoard | None) -> str:
    """What a page says whose address names a run."""
    if kept is None:
        return problem(NO_SUCH_RUN)
    ranked = f"{counted(len(kept.shown.board.rows))} ranked"
    life = "a week, for everybody with this address" if kept.is_public else "an hour, for you alone"
    words = {
        "running": f"This run goes on, {ranked} so far.",
        "left": f"This run stopped after its page was left, with {ranked}: press Change and rank again, to go on.",
        "cancelled": f"Found again: cancelled, with {ranked}.",
        "failed": f"Found again: stopped by an error, with {ranked}.",
    }.get(kept.outcome, f"Found again: {ranked}.")
    return paragraph(f"{words} Kept for {life}.")
