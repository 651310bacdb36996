"""Search as you type: datasets and checkpoints of the Hub by part of their name, as the visitor, for the visitor alone.

A pause in typing asks, not a keystroke. What one visitor's token lists is sent to that visitor and kept nowhere.
"""

import time
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from lead_hub.access import Access
from lead_hub.candidates import search_checkpoints
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import search_datasets
from spaces_app.events import QUIETLY, Updates
from spaces_app.found_html import checkpoints_html, datasets_html, silent_html
from spaces_app.inputs import Inputs
from spaces_app.request import DEMO
from spaces_app.visitors import Deployment, visitor

FEWEST_LETTERS = 3
LONGEST_NAME = 193  # 96 characters each for owner and name, and the slash
PATIENCE_S = 6.0  # of a visitor who types
SEARCHES_AT_ONCE = 4
# What is typed goes to the server once nothing more has been typed for a while; what was overtaken never goes. Gradio
# tells of an input only where a key was pressed, of a change also where something was pasted, or filled in by a button:
# then nothing is sought, for nobody is in the box.
AFTER_A_PAUSE = """() => new Promise(resolve => {
  clearTimeout(window.leadSearch%(name)s);
  const typed = () => document.querySelector("#%(box)s :is(textarea, input):focus")?.value ?? "";
  window.leadSearch%(name)s = setTimeout(() => resolve(typed()), 350);
})"""


def wire_searching(inputs: Inputs, *, datasets: gr.HTML, checkpoints: gr.HTML, deployment: Deployment) -> Dependency:
    """Connect them; gives the event after which another dataset is named.

    Args:
        inputs: where names are typed.
        datasets: where datasets are listed.
        checkpoints: where checkpoints are listed.
        deployment: where the app runs.
    """

    def access(token: gr.OAuthToken | None) -> Access:
        until = time.monotonic() + PATIENCE_S
        who = visitor(deployment, token=token.token if token else None)
        return Access(token=who.token, progress=False, cancelled=lambda: time.monotonic() > until)

    def sought(text: str, token: gr.OAuthToken | None) -> str:
        if not is_searched(text, paths_allowed=not deployment.is_shared):
            return ""
        return _found(lambda: datasets_html(search_datasets(text, access(token)), sought=text.strip()))

    def sought_checkpoints(text: str, token: gr.OAuthToken | None) -> str:
        last = (text or "").rpartition("\n")[2]
        if not is_searched(last, paths_allowed=not deployment.is_shared):
            return ""
        return _found(lambda: checkpoints_html(search_checkpoints(last, access(token)), sought=last.strip()))

    def taken(event: gr.SelectData) -> Updates:
        return {inputs.dataset: str(event.value), datasets: ""}

    def added(text: str, event: gr.SelectData) -> Updates:
        finished = (text or "").splitlines()[:-1]
        return {inputs.own_candidates: "\n".join([*finished, str(event.value), ""]), checkpoints: ""}

    for box, search, listed, name in (
        (inputs.dataset, sought, datasets, "Datasets"),
        (inputs.own_candidates, sought_checkpoints, checkpoints, "Checkpoints"),
    ):
        box.change(
            search,
            box,
            listed,
            js=AFTER_A_PAUSE % {"name": name, "box": box.elem_id},
            trigger_mode="multiple",
            concurrency_limit=SEARCHES_AT_ONCE,
            concurrency_id="searches",
            **QUIETLY,
        )
    checkpoints.select(added, inputs.own_candidates, [inputs.own_candidates, checkpoints], queue=False, **QUIETLY)
    return datasets.select(taken, None, [inputs.dataset, datasets], queue=False, **QUIETLY)


def is_searched(text: str | None, *, paths_allowed: bool) -> bool:
    """Whether this is part of a name of the Hub; a path, and a dataset of the demo, is found without it."""
    typed = (text or "").strip()
    if not FEWEST_LETTERS <= len(typed) <= LONGEST_NAME or typed.startswith((DEMO, "/", ".", "~")) or "@" in typed:
        return False
    return not (paths_allowed and Path(typed).exists())


def _found(search: Callable[[], str]) -> str:
    try:
        return search()
    except LeadHubError:  # the name can still be typed
        return silent_html()
