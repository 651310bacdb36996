"""What a search found, as HTML: names to press, and a word to whoever does not see them."""

from collections.abc import Sequence
from html import escape

from lead_hub.candidates import FoundCheckpoint
from lead_hub.labelled_images import FoundDataset
from lead_hub.leaderboard import bdi, count_in_words, one_line
from spaces_app.request import CHECKPOINT

HUB_SILENT = "The Hub does not answer just now; type the whole id."


def datasets_html(found: Sequence[FoundDataset], *, sought: str) -> str:
    """Datasets to press."""
    facts = [
        _facts("image classification" if one.is_for_classification else "", one.downloads, is_private=one.is_private)
        for one in found
    ]
    return _list([(one.id, words) for one, words in zip(found, facts, strict=True)], of="dataset", sought=sought)


def checkpoints_html(found: Sequence[FoundCheckpoint], *, sought: str) -> str:
    """Checkpoints to press."""
    facts = [_facts(one.task.replace("-", " "), one.downloads, is_private=one.is_private) for one in found]
    return _list([(one.id, words) for one, words in zip(found, facts, strict=True)], of="checkpoint", sought=sought)


def silent_html() -> str:
    """Where nobody could be asked."""
    return f'<p class="lead-quiet" role="status">{HUB_SILENT}</p>'


def _facts(task: str, downloads: int | None, *, is_private: bool) -> str:
    parts = ["private"] if is_private else []
    parts += [task] if task else []
    parts += [f"{count_in_words(downloads)} downloads"] if downloads is not None else []
    return ", ".join(parts)


def _list(found: Sequence[tuple[str, str]], *, of: str, sought: str) -> str:
    """Names that could not be a Hub's are none of its."""
    named = [(name, facts) for name, facts in found if CHECKPOINT.fullmatch(name)]
    if not named:
        return f'<p class="lead-quiet" role="status">No {of} of the Hub is called like {bdi(sought, at_most=60)}.</p>'
    items = "".join(
        f'<li><button type="button" data-id="{escape(name, quote=True)}">{bdi(name)}'
        f' <span class="lead-quiet">{escape(one_line(facts, at_most=80))}</span></button></li>'
        for name, facts in named
    )
    count = f"1 {of}" if len(named) == 1 else f"{len(named)} {of}s"
    return (
        f'<div class="lead-found"><p class="lead-quiet" role="status">{count} found, press one to take it:</p>'
        f'<ul aria-label="{of.capitalize()}s found">{items}</ul></div>'
    )
