"""README of a score-card repository: front matter for the Hub, tables and how to read them for people."""

import json
import shlex
from collections.abc import Iterable, Sequence

import yaml

from lead_hub.hub import is_commit
from lead_hub.score_cards.public_names import HUB_ID, LOCAL
from lead_hub.score_cards.table import TABLE_PATH, ScoreRow, with_ranks

BEGIN = "<!-- lead-hub: from here to the end mark, this file is written anew with every push -->"
END = "<!-- lead-hub: end mark -->"
LONGEST_RANKING = 50
MOST_RANKINGS = 20
MOST_CLASSES = 20
CONFIG_NAME = "scores"
TRAINED_ON_DATASET = "was trained on this dataset, its score says little"
LITERAL = frozenset(" -,()/")

INTRODUCTION = """\
How well pretrained vision checkpoints are *predicted* to fine-tune on a dataset, each scored without any fine-tuning
by lead-hub. The newest ranking comes first.

**How to read it.** A higher score predicts a better accuracy after fine-tuning. Scores are comparable within one table
only: another dataset, sample of images, method or version of the method gives numbers on another scale.

**What it is not.** A score is a prediction, not a measured accuracy, and no benchmark result. Checkpoints that are
close together may well change places after fine-tuning: try the first few.

Every score has a card in `cards/`, which names the exact commits of checkpoint and dataset, the images, the settings
and the versions, with a hash over all of it. `data/scores.parquet` is the table of them all.
"""


FINETUNED_EXPLAINED = """\
`fine-tuned` is no prediction: the accuracy on test images that fine-tuning the checkpoint really gave, mean and
standard deviation over seeds, and in parentheses what was trained: all weights (full), low-rank adapters (lora) or a
linear head alone (probe). Its card says on how many images, at which rate and for how long.
"""


def readme_bytes(rows: Sequence[ScoreRow], *, endpoint: str, before: bytes | None = None, opening: str = "") -> bytes:
    """The README for all rows of the table, in the order of the pushes.

    Args:
        rows: at least one.
        endpoint: the Hub's address, for links to checkpoints.
        before: the README as it is; what others wrote into it, licence and text, is kept.
        opening: what comes first, in Markdown.
    """
    front, text = split_front_matter((before or b"").decode(errors="replace"))
    head, tail = around_our_part(text)
    matter = yaml.safe_dump(front_matter(rows, front), sort_keys=False, allow_unicode=True)
    ours = "\n".join(
        [
            BEGIN,
            "",
            "# Transferability scores",
            "",
            *([opening] if opening else []),
            INTRODUCTION,
            *rankings(rows, endpoint),
            END,
        ]
    )
    return f"---\n{matter}---\n\n{head}{ours}\n{tail}".encode()


def split_front_matter(readme: str) -> tuple[dict[str, object], str]:
    """The front matter and the text after it; front matter that is no YAML mapping is given up."""
    lines = readme.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != "---":
        return {}, readme
    ends = [number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"]
    if not ends:
        return {}, readme
    try:
        matter = yaml.safe_load("".join(lines[1 : ends[0]]))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # a date that no calendar has, say
        matter = None
    return (matter if isinstance(matter, dict) else {}), "".join(lines[ends[0] + 1 :])


def around_our_part(text: str) -> tuple[str, str]:
    """What others wrote before and after our part."""
    head, begin, rest = text.partition(BEGIN)
    if not begin:
        return (f"{text.strip()}\n\n" if text.strip() else ""), ""
    # The last end mark is the true one: a name in the command of our own part may look like another.
    _, end, tail = rest.rpartition(END)
    return head.lstrip("\n"), tail.lstrip("\n") if end else ""


def front_matter(rows: Iterable[ScoreRow], before: dict[str, object]) -> dict[str, object]:
    """What the Hub indexes: our tags and the table's place, added to what is there."""
    listed = list(rows)
    datasets = sorted({row.dataset for row in listed if not row.dataset_is_local})
    checkpoints = sorted({row.checkpoint for row in listed if is_hub_id(row.checkpoint)})
    ours = [
        *("lead-hub", "transferability"),
        *(f"dataset:{dataset}" for dataset in datasets),
        *(f"base_model:{checkpoint}" for checkpoint in checkpoints),
    ]
    others = [tag for tag in as_list(before.get("tags")) if tag not in ours]
    table = {"config_name": CONFIG_NAME, "data_files": [{"split": "train", "path": TABLE_PATH}]}
    configs = [config for config in as_list(before.get("configs")) if not is_our_config(config)]
    return {"pretty_name": "Transferability scores", **before, "tags": [*ours, *others], "configs": [table, *configs]}


def is_hub_id(name: str) -> bool:
    return HUB_ID.fullmatch(name) is not None and not name.startswith(LOCAL)


def as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def is_our_config(config: object) -> bool:
    return isinstance(config, dict) and config.get("config_name") == CONFIG_NAME


def rankings(rows: Sequence[ScoreRow], endpoint: str) -> Iterable[str]:
    """One section a ranking, the one that was pushed last first."""
    groups: dict[str, list[ScoreRow]] = {}
    for row in rows:
        groups[row.ranking_id] = [*groups.pop(row.ranking_id, []), row]
    newest_first = list(reversed(groups.values()))
    for group in newest_first[:MOST_RANKINGS]:
        yield from ranking(group, endpoint)
    if len(newest_first) > MOST_RANKINGS:
        yield f"{len(newest_first) - MOST_RANKINGS} older rankings are in `{TABLE_PATH}` only.\n"


def ranking(rows: Sequence[ScoreRow], endpoint: str) -> Iterable[str]:
    """One dataset, sample and method: what was scored, the table, and how to make it again."""
    last = rows[-1]
    companions = sorted({name for row in rows for name in json.loads(row.companions)})
    config = f", configuration {escaped(last.config)}" if last.config else ""
    yield f"## {linked(last.dataset, last.dataset_sha, place=f'{endpoint}/datasets')}\n"
    yield (
        f"{last.n_images} images of the split {escaped(last.split)}{config}, dataset commit"
        f" {escaped(last.dataset_sha[:12])}; {len(last.class_names)} classes: {class_list(last.class_names)}. Score:"
        f" {escaped(last.method)}, version {last.method_version}.\n"
    )
    measured = any(row.finetuned_accuracy is not None for row in rows)
    if measured:
        yield FINETUNED_EXPLAINED
    outcome = ["fine-tuned"] if measured else []
    header = ["rank", "checkpoint", "score", *outcome, *map(escaped, companions), "parameters", "licence", "note"]
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---' for _ in header)}|"
    for rank, row in with_ranks(rows)[:LONGEST_RANKING]:
        yield f"| {' | '.join(table_cells(rank, row, companions, endpoint=endpoint, measured=measured))} |"
    if len(rows) > LONGEST_RANKING:
        yield f"\n{len(rows) - LONGEST_RANKING} more are in `{TABLE_PATH}`."
    versions = ", ".join(f"{escaped(name)} {escaped(number)}" for name, number in json.loads(last.versions).items())
    yield f"\nVersions: {versions}. Made again by\n\n~~~~shell\n{command(rows)}\n~~~~\n"


def table_cells(rank: int, row: ScoreRow, companions: Sequence[str], *, endpoint: str, measured: bool) -> list[str]:
    figures = json.loads(row.companions)
    outcome = [outcome_cell(row)] if measured else []
    return [
        str(rank),
        linked(row.checkpoint, row.sha, place=endpoint),
        f"{row.score:.4f}",
        *outcome,
        *(f"{figures[name]:.4g}" if name in figures else "" for name in companions),
        f"{row.parameters:,}",
        escaped(row.licence) if row.licence else "not named",
        escaped("; ".join(filter(None, [TRAINED_ON_DATASET if row.trained_on_dataset else "", row.note]))),
    ]


def outcome_cell(row: ScoreRow) -> str:
    """The measured accuracy, its deviation between seeds, and what was trained; empty where nothing was."""
    if row.finetuned_accuracy is None or row.finetuned_mode is None:
        return ""
    deviation = "" if row.finetuned_accuracy_sd is None else f" ± {100 * row.finetuned_accuracy_sd:.1f}"
    return f"{row.finetuned_accuracy:.1%}{deviation} ({escaped(row.finetuned_mode)})"


def linked(name: str, sha: str, *, place: str) -> str:
    """A Hub id with a link to its pinned commit; a local name alone."""
    return f"[{escaped(name)}]({place}/{name}/tree/{sha})" if is_hub_id(name) and is_commit(sha) else escaped(name)


def class_list(names: Sequence[str]) -> str:
    shown = ", ".join(escaped(name) for name in names[:MOST_CLASSES])
    return f"{shown} and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else shown


def escaped(text: str) -> str:
    """Text by others as text: what could be markup, in any reader of Markdown, becomes a character reference."""
    return "".join(map(escaped_sign, printable(text)))


def escaped_sign(sign: str) -> str:
    return sign if sign.isalnum() or sign in LITERAL else f"&#{ord(sign)};"


def printable(text: str) -> str:
    """The text on one line, without control characters."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def command(rows: Sequence[ScoreRow]) -> str:
    """The call that ranks the same checkpoints on the same images; local folders are named, not located."""
    last = rows[-1]
    settings = json.loads(last.settings)
    words = ["lead-hub", "recommend", last.dataset, "--score", last.method, "--split", last.split]
    words += ["--config", last.config] if last.config else []
    words += ["--image-column", last.image_column, "--label-column", last.label_column]
    words += [] if last.dataset_is_local else ["--revision", last.dataset_sha]
    for name in ("max_images", "seed", "dtype", "group_column"):
        words += [f"--{name.replace('_', '-')}", str(settings[name])] if settings.get(name) is not None else []
    words += ["--budget", str(settings.get("budget") or "none")]  # unasked the command may race
    for _, row in with_ranks(rows)[:LONGEST_RANKING]:
        words += ["-c", f"{row.checkpoint}@{row.sha}" if is_hub_id(row.checkpoint) else row.checkpoint]
    return " ".join(shlex.quote(printable(word)) for word in words)
