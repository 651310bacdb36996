"""The address of a run, `?run=ID`: set when the run begins, read when a page is opened; a browser's last runs."""

import re
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import gradio as gr

from lead_hub.leaderboard import bdi
from spaces_app.events import Block, Updates
from spaces_app.kept_boards import RUN_ID, THIS_MACHINE, KeptBoard
from spaces_app.status import counted, paragraph, problem
from spaces_app.visitors import Deployment, Visitor

MOST_RECENT = 8
LONGEST_LABEL = 60
LONGEST_PICTURE = 6000  # letters; a picture of 56 px has some 3,000
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
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
        recent: id, name and picture (base64 of a JPEG, or nothing) of its last runs, kept there and nowhere else.
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
        recent = [[run_id, label[:LONGEST_LABEL], ""], *readable(values.get(self.recent))][:MOST_RECENT]
        return {self.run: run_id, self.recent: recent, self.listed: recent_html(recent)}

    def ended(self, values: Mapping[Block, object], run_id: str) -> Updates:
        """A run that found nothing has nothing to come back to."""
        recent = [entry for entry in readable(values.get(self.recent)) if entry[0] != run_id]
        return {self.recent: recent, self.listed: recent_html(recent)}

    def pictured(self, values: Mapping[Block, object], run_id: str, jpeg: bytes) -> Updates:
        """A run of images that everybody may see has one of them as its picture."""
        picture = b64encode(jpeg).decode("ascii")
        recent = [
            [entry[0], entry[1], picture if entry[0] == run_id and len(picture) <= LONGEST_PICTURE else entry[2]]
            for entry in readable(values.get(self.recent))
        ]
        return {self.recent: recent, self.listed: recent_html(recent)}

    def opened(self, browser: object, recent: object) -> Updates:
        """What a page knows of its browser."""
        is_known = isinstance(browser, str) and RUN_ID.fullmatch(browser)
        return {self.browser: browser if is_known else uuid.uuid4().hex, self.listed: recent_html(readable(recent))}


def made_addresses(listed: gr.HTML) -> Addresses:
    """Outside of all that is ever hidden: a part of a hidden one is not there, and keeps nothing in the browser."""
    return Addresses(
        run=gr.Textbox("", visible=False),
        browser=gr.BrowserState("", storage_key="lead-hub-browser", secret=OBSCURED_WITH),
        recent=gr.BrowserState([], storage_key="lead-hub-runs", secret=OBSCURED_WITH),
        listed=listed,
    )


def owners_of(who: Visitor, browser: object, deployment: Deployment) -> tuple[str, ...]:
    """As whom a visitor may see what not everybody may; the first one owns what the visitor ranks."""
    if not deployment.is_shared:
        return (THIS_MACHINE,)
    names = [f"hub:{who.name}"] if who.name and who.is_signed_in else []
    names += [f"browser:{browser}"] if isinstance(browser, str) and RUN_ID.fullmatch(browser) else []
    return tuple(names)


def readable(recent: object) -> list[list[str]]:
    """The last runs, of what a browser says they are."""
    entries = recent if isinstance(recent, list) else []
    return [
        [entry[0], entry[1][:LONGEST_LABEL], _picture(entry[2:])]
        for entry in entries[:MOST_RECENT]
        if isinstance(entry, list) and len(entry) in (2, 3) and all(isinstance(part, str) for part in entry)
        if RUN_ID.fullmatch(entry[0])
    ]


def _picture(parts: list[str]) -> str:
    """What may stand in a page as a picture, of what a browser says is one."""
    text = parts[0] if parts else ""
    return text if len(text) <= LONGEST_PICTURE and BASE64.fullmatch(text) else ""


def recent_html(recent: list[list[str]]) -> str:
    """The last runs as cards: links with a picture where everybody may see it, else with a letter."""
    if not recent:
        return ""
    links = "".join(
        f'<li><a href="?run={escape(run_id)}">{_card_picture(label, picture)}{bdi(label)}</a></li>'
        for run_id, label, picture in recent
    )
    return f'<nav aria-label="Your last runs"><p>Your last runs:</p><ul>{links}</ul></nav>'


def _card_picture(label: str, picture: str) -> str:
    if picture:
        return f'<img src="data:image/jpeg;base64,{escape(picture, quote=True)}" alt="" width="32" height="32"/>'
    name = re.split(r"[/:]", label.rstrip("/:"))[-1]
    return f'<span aria-hidden="true">{escape(name[:1].upper())}</span>'


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
