"""Score card: all results of one checkpoint on one dataset, each with a hash over everything that it says."""

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lead_hub.confidence import RANK_DEPENDENT
from lead_hub.errors import LeadHubError
from lead_hub.hub import is_commit, is_content_sha
from lead_hub.score_cards.public_names import public_name, slug, without_paths

CARD_SCHEMA_VERSION = 1
# The first depends on the other rows, the second on the day, the third on who may read the checkpoint today.
NOT_IN_CARDS = frozenset({"rank", "downloads", "is_private"})
COMPARABLE = ("sha", "config", "split", "image_column", "label_column", "class_names", "rows_sha256")
# Of a row that rests on fewer images than its dataset's: on the card they are the dataset's.
OF_FEWER_IMAGES = ("n_images", "rows_sha256")
ONLY_WITH_GROUPS = frozenset({"groups_sha256"})

Json = dict[str, Any]
# What reading a card can raise that is not as this version writes it.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class ScoreResult:
    """One score of one checkpoint on one sample of images, under public names.

    Attributes:
        schema_version: of the leaderboard that it was taken from.
        dataset: the leaderboard's block on the images.
        method: name of the score.
        method_version: of the score's definition; another version's numbers are not comparable.
        row: the leaderboard's row, without its rank (that depends on the other rows).
        settings: arguments of the run.
        versions: of Python and the packages that can change a number.
    """

    schema_version: int
    dataset: Json
    method: str
    method_version: int
    row: Json
    settings: Json
    versions: Json

    @property
    def ranking_id(self) -> str:
        """Results with the same one were made on the same images by the same method: they can be ranked together."""
        return ranking_id(self.dataset, method=self.method, method_version=self.method_version)

    @property
    def identity(self) -> tuple[str, str, str]:
        """Two results of the same identity are the same measurement, made twice."""
        return self.row["checkpoint"], self.row["sha"], self.ranking_id

    @property
    def request_id(self) -> tuple[str, ...]:
        """What tells requests to write it apart: its identity and, where it was fine-tuned, what that gave."""
        finetuned = self.row.get("finetuned")
        return self.identity if finetuned is None else (*self.identity, sha256_of(finetuned))

    @property
    def content_sha256(self) -> str:
        return sha256_of(dataclasses.asdict(self))

    @property
    def card_path(self) -> str:
        """Where its card lies in the repository."""
        return f"{card_folder(self.dataset['dataset'])}/{slug(self.row['checkpoint'])}@{self.row['sha']}.json"


def ranking_id(dataset: Mapping[str, Any], *, method: str, method_version: int) -> str:
    """sha256 over all that must be equal for scores to be comparable."""
    images = {key: dataset[key] for key in COMPARABLE}
    # Only where there are groups, so that what was written without stays comparable.
    groups = {key: dataset[key] for key in ONLY_WITH_GROUPS if dataset.get(key) is not None}
    return sha256_of({**images, **groups, "class_names": [*images["class_names"]], "method": [method, method_version]})


def card_folder(public_dataset: str) -> str:
    return f"cards/{slug(public_dataset)}"


def sha256_of(value: object) -> str:
    """sha256 over the one canonical JSON text of a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def results_of(document: Mapping[str, Any]) -> list[ScoreResult]:
    """A leaderboard's rows as results under public names, best first.

    Raises:
        LeadHubError: there is no row, or a row does not say which files were scored.
    """
    if not document["rows"]:
        raise LeadHubError("score cards are made of scored checkpoints, and this leaderboard has none: nothing to push")
    return [result_of(document, row) for row in document["rows"]]


def result_of(document: Mapping[str, Any], row: Mapping[str, Any]) -> ScoreResult:
    dataset = document["dataset"]
    for name, sha in ((row["checkpoint"], row["sha"]), (dataset["dataset"], dataset["sha"])):
        if not is_commit(sha) and not is_content_sha(sha):
            raise LeadHubError(
                f"a score card names the exact files by 40 or 64 hex digits, found {sha!r} for {name!r}:"
                " rank it again with `recommend`"
            )
    checkpoint = public_name(row["checkpoint"], is_local=is_content_sha(row["sha"]))
    images = public_name(dataset["dataset"], is_local=dataset["is_local"] or is_content_sha(dataset["sha"]))
    private = {
        path: name
        for path, name in ((row["checkpoint"], checkpoint), (dataset["dataset"], images))
        if path != name  # a Hub id is no secret
    }
    notes = [without_paths(note, private) for note in dataset["notes"]]
    public_dataset = {**dataset, "dataset": images, "class_names": [*dataset["class_names"]], "notes": notes}
    public_dataset |= {key: row[key] for key in OF_FEWER_IMAGES if row.get(key) is not None}
    public_dataset = {k: value for k, value in public_dataset.items() if k not in ONLY_WITH_GROUPS or value is not None}
    public_row = {key: value for key, value in row.items() if key not in {*NOT_IN_CARDS, *OF_FEWER_IMAGES}}
    if row.get("confidence") is not None:
        public_row["confidence"] = of_the_row_alone(row["confidence"])
    return ScoreResult(
        schema_version=document["schema_version"],
        dataset=public_dataset,
        method=document["method"],
        method_version=document["method_version"],
        row={**public_row, "checkpoint": checkpoint, "note": without_paths(row["note"], private)},
        settings={
            key: without_paths(value, private) if isinstance(value, str) else value
            for key, value in document["settings"].items()
        },
        versions=dict(document["versions"]),
    )


def of_the_row_alone(confidence: Mapping[str, Any]) -> Json:
    """What a row says of its certainty without what depends on the other rows; lists as JSON has them.

    Nor with the table of confused classes: a card says the most of it in `confused_pairs`, and stays short.
    """
    without_ranks = {**confidence, **dict.fromkeys(RANK_DEPENDENT)}
    return {
        key: [dict(each) for each in value] if isinstance(value, list | tuple) else value
        for key, value in without_ranks.items()
        if key != "confusion"
    }


def card_bytes(results: Iterable[ScoreResult], others: Iterable[object] = ()) -> bytes:
    """The card of one checkpoint on one dataset, as it lies in the repository.

    Args:
        results: one at the least.
        others: entries of the card that another version wrote, which stay as they are.
    """
    listed = list(results)
    first = listed[0]
    card = {
        "schema_version": CARD_SCHEMA_VERSION,
        "checkpoint": first.row["checkpoint"],
        "sha": first.row["sha"],
        "dataset": first.dataset["dataset"],
        "results": [
            *({**dataclasses.asdict(result), "content_sha256": result.content_sha256} for result in listed),
            *others,
        ],
    }
    return (json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_card(content: bytes, *, path: str) -> list[ScoreResult]:
    """The results of a card that are what their hash says; the others are left out with a warning.

    Args:
        content: the file.
        path: its place, for the warning and to know a card that was moved.

    Raises:
        LeadHubError: a newer version of lead-hub wrote it: what is not understood must not be written anew.
    """
    try:
        entries = card_entries(content, path=path)
    except UNREADABLE as error:
        warnings.warn(f"{path} is no score card that this version can read and is ignored: {error!r}", stacklevel=2)
        return []
    return [result for entry in entries if (result := result_or_none(entry, path=path)) is not None]


def card_entries(content: bytes, *, path: str) -> list[Any]:
    """The entries of a card, whatever they are.

    Raises:
        LeadHubError: a newer version of lead-hub wrote it.
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError: it is no card.
    """
    card = json.loads(content)
    refuse_newer(card["schema_version"], path=path)
    return list(card["results"])


def result_or_none(entry: Any, *, path: str) -> ScoreResult | None:
    """The result of one entry; none, with a warning, where it cannot be read or is not what its hash says."""
    try:
        return read_result(entry, path=path)
    except UNREADABLE as error:
        warnings.warn(f"{path}: a result is ignored, because this version cannot read it: {error!r:.200}", stacklevel=3)
        return None


def entries_of_others(content: bytes, *, path: str, is_understood: Callable[[ScoreResult], bool]) -> list[Any]:
    """The entries of a card that are as they were written, but not as this version writes them: not its to drop.

    Args:
        content: the file.
        path: its place.
        is_understood: whether a result has all that this version needs.
    """
    try:
        entries = card_entries(content, path=path)
    except UNREADABLE:
        return []

    def is_anothers(entry: Any) -> bool:
        try:
            result = entry_result(entry)
            return is_as_written(result, entry, path=path) and not is_understood(result)
        except UNREADABLE:
            return True

    return [entry for entry in entries if is_anothers(entry)]


def refuse_newer(version: int, *, path: str) -> None:
    if version > CARD_SCHEMA_VERSION:
        raise LeadHubError(
            f"{path} must be a score card of schema version {CARD_SCHEMA_VERSION}, found version {version}, which a"
            " newer lead-hub wrote: update lead-hub"
        )


def read_result(entry: Json, *, path: str) -> ScoreResult | None:
    result = entry_result(entry)
    if not is_as_written(result, entry, path=path):
        warnings.warn(
            f"{path}: a result is ignored, because its content is not the one that its content_sha256 or its place"
            " names: it was changed after it was written",
            stacklevel=4,
        )
        return None
    return result


def entry_result(entry: Json) -> ScoreResult:
    return ScoreResult(**{key: value for key, value in entry.items() if key != "content_sha256"})


def is_as_written(result: ScoreResult, entry: Json, *, path: str) -> bool:
    """Whether an entry's content and place are those that it names."""
    return result.content_sha256 == entry.get("content_sha256") and result.card_path == path
