"""Options that the page's events share, and the type of what their functions return."""

from typing import Literal, TypeAlias, TypedDict

from gradio.blocks import Block

__all__ = ["IN_TURN", "QUIETLY", "RUNS_AT_ONCE", "Block", "Updates"]

# New values of components, or gr.update(...) of them.
Updates: TypeAlias = dict[Block, object]
RUNS_AT_ONCE = 2


class Quiet(TypedDict):
    """Of an event that is no endpoint, and shows by itself what it does."""

    show_progress: Literal["hidden"]
    api_visibility: Literal["private"]


class Queued(TypedDict):
    """Of the events that rank: so many at once, the others queue in the order that they came."""

    concurrency_limit: int
    concurrency_id: str


QUIETLY: Quiet = {"show_progress": "hidden", "api_visibility": "private"}
IN_TURN: Queued = {"concurrency_limit": RUNS_AT_ONCE, "concurrency_id": "runs"}
