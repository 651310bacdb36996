"""Pictures as HTML: of every class, and of what a checkpoint gets wrong. They are in the page and nowhere else.

A picture is a small JPEG in the page's own text (a data URI): the server keeps no file of it.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from lead_hub.leaderboard import RankedCheckpoint, bdi, one_line, row_name
from lead_hub.recommendation import Disagreement, MistakenPicture, PredictedClasses, SamplePictures
from spaces_app.status import bytes_in_words

SHOWN_AT_ONCE = 8
LONGEST_CLASS = 40
LONGEST_NOTE = 300


def sample_html(sample: SamplePictures) -> str:
    """What is ranked on: how many of each class, the largest first, and what is there more than once."""
    largest = sample.classes[0]
    items = [_class_item(each.name, each.n_images, each.jpegs, most=largest.n_images) for each in sample.classes]
    more = sample.n_classes - len(items)
    hidden = items[SHOWN_AT_ONCE:]
    rest = ""
    if hidden:
        unseen = f"<p>and {more:,} smaller ones</p>" if more else ""
        summary = f"{len(hidden) + more:,} more classes"
        rest = f"<details><summary>{summary}</summary><ul>{''.join(hidden)}</ul>{unseen}</details>"
    copies = "".join(f"<li>{_pictures(jpegs, 'a copy')}</li>" for jpegs in sample.copies)
    twice = f"<p>More than once:</p><ul>{copies}</ul>" if copies else ""
    notes = "".join(f"<p>{escape(one_line(note, at_most=LONGEST_NOTE))}.</p>" for note in sample.notes)
    return (
        f'<section class="lead-pictures" aria-label="Pictures of the images">{_counts(sample)}'
        f"<ul>{''.join(items[:SHOWN_AT_ONCE])}</ul>{rest}{twice}{notes}</section>"
    )


def _counts(sample: SamplePictures) -> str:
    name, n_fewest = sample.fewest
    largest = sample.classes[0]
    if sample.imbalance == 1:
        balance = f"{n_fewest:,} of each"
    else:
        balance = f"from {n_fewest:,} ({_class(name)}) to {largest.n_images:,} ({_class(largest.name)})"
        balance += f", {sample.imbalance:.0f} times as many" if sample.imbalance >= 2 else ""
    return f"<p><b>{sample.n_images:,} images of {sample.n_classes:,} classes</b>: {balance}.</p>"


def _class_item(name: str, n_images: int, jpegs: Sequence[bytes], *, most: int) -> str:
    filled = f'<span style="width:{100 * n_images / most:.0f}%"></span>'
    share = f'<span class="lead-count" aria-hidden="true">{filled}</span>'
    return f"<li><p>{_class(name)} <span>{n_images:,}</span></p>{share}{_pictures(jpegs, name)}</li>"


def _pictures(jpegs: Sequence[bytes], name: str) -> str:
    return f'<div class="lead-row">{"".join(_picture(jpeg, name) for jpeg in jpegs)}</div>'


def _picture(jpeg: bytes, name: str) -> str:
    alt = escape(one_line(name, at_most=LONGEST_CLASS), quote=True)
    return f'<img src="data:image/jpeg;base64,{b64encode(jpeg).decode("ascii")}" alt="{alt}" width="56" height="56"/>'


def _class(name: str) -> str:
    return bdi(name, at_most=LONGEST_CLASS)


def too_large_html(n_bytes: int | None) -> str:
    """Why there are no pictures yet."""
    size = "Many files" if n_bytes is None else bytes_in_words(n_bytes)
    return f'<p class="lead-quiet">{size} to read: pictures of the classes show once a run has read them.</p>'


def mistakes_html(predictions: PredictedClasses | None) -> str:
    """Images that a checkpoint gets wrong when they are left out, with what it takes them for; empty without any."""
    if predictions is None or not predictions.n_wrong:
        return ""
    mistakes = predictions.mistakes()
    n_wrong, n_images = predictions.n_wrong, len(predictions.labels)
    words = f"{n_wrong:,} of {n_images:,} images are taken for another class"
    some = f"; {len(mistakes)} of them, the most confused classes first" if len(mistakes) < n_wrong else ""
    heading = f"<p><b>What it gets wrong</b>: {words}{some}.</p>"
    return (
        f'<section class="lead-pictures" aria-label="What it gets wrong">{heading}{mistaken_list(mistakes)}</section>'
    )


def mistaken_list(mistakes: Sequence[MistakenPicture]) -> str:
    """Each with its class, and the class that it is taken for."""
    items = "".join(
        f"<li>{_picture(each.jpeg, each.true)}<p>{_class(each.true)}<br/>taken for {_class(each.taken_for)}</p></li>"
        for each in mistakes
    )
    return f'<ul class="lead-mistakes">{items}</ul>'


def disagreement_html(found: Disagreement, first: RankedCheckpoint, second: RankedCheckpoint) -> str:
    """Which images only one of two checkpoints gets right, left out, with pictures of some."""
    names = bdi(row_name(first)), bdi(row_name(second))
    n_images = found.n_both_right + found.n_only_first + found.n_only_second + found.n_both_wrong
    counts = (
        f"<p><b>Where they disagree</b>: of {n_images:,} images, each left out, both get {found.n_both_right:,} right;"
        f" {found.n_only_first:,} only {names[0]}; {found.n_only_second:,} only {names[1]};"
        f" {found.n_both_wrong:,} neither.</p>"
    )
    parts = [
        f"<p>Wrong by {name} alone:</p>{mistaken_list(mistakes)}"
        for name, mistakes in ((names[1], found.second_wrong), (names[0], found.first_wrong))
        if mistakes
    ]
    return f'<section class="lead-pictures" aria-label="Where they disagree">{counts}{"".join(parts)}</section>'
