"""Which files a push writes: what the repository does not hold yet, merged into what it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lead_hub.hub import hub_address
from lead_hub.score_cards.card import ScoreResult, card_bytes, entries_of_others
from lead_hub.score_cards.readme import readme_bytes
from lead_hub.score_cards.repository import README_PATH, Repository
from lead_hub.score_cards.table import TABLE_PATH, ScoreRow, fits_table, score_row, table_bytes


@dataclass(frozen=True)
class NewScores:
    """What a push brings.

    Attributes:
        results: those that may be written.
        opening: how the README is to open, in Markdown without anything by others that could be markup.
    """

    results: Sequence[ScoreResult]
    opening: str = ""


def new_repository_files(new: NewScores, *, endpoint: str) -> dict[str, bytes]:
    """All files of a repository that holds these results alone, by path."""
    readme = readme_bytes(list(map(score_row, new.results)), endpoint=endpoint, opening=new.opening)
    return card_files(new.results, {}, {}) | overview_files(list(map(score_row, new.results)), readme)


def changed_files(new: NewScores, repository: Repository) -> dict[str, bytes]:
    """The files to write for those results that the repository does not hold, by path; none if it holds them all."""
    results = new.results
    there = repository.files([README_PATH, *(result.card_path for result in results)])
    rows = repository.read_rows()
    listed = {row.identity: row for row in rows if row.card in there}
    missing = [result for result in results if result.identity not in listed or adds_outcome(result, listed)]
    if not missing:
        return {}
    touched = {result.card_path for result in missing} & there.keys()
    contents = repository.read(there[path] for path in sorted(touched))
    cards = repository.results_of(contents)
    others = {
        path: entries_of_others(content, path=path, is_understood=fits_table) for path, content in contents.items()
    }
    # A card may hold a result that the table has lost: of two results of one identity the first stays, but for the
    # later one that says what fine-tuning gave.
    on_cards = {result.identity: result for card in cards.values() for result in card}
    final = [result if has_outcome(result) else on_cards.get(result.identity, result) for result in missing]
    identities = {result.identity for result in final}
    table = [*(row for row in rows if row.identity not in identities), *map(score_row, final)]
    readme = repository.read_one(there[README_PATH]) if README_PATH in there else None
    endpoint = hub_address(repository.api.endpoint)
    written = readme_bytes(table, endpoint=endpoint, before=readme, opening=new.opening)
    return card_files(final, cards, others) | overview_files(table, written)


def has_outcome(result: ScoreResult) -> bool:
    """Whether it says what fine-tuning gave."""
    return result.row.get("finetuned") is not None


def adds_outcome(result: ScoreResult, listed: Mapping[tuple[str, str, str], ScoreRow]) -> bool:
    """Whether a result says of fine-tuning what the repository's result of the same identity does not."""
    return has_outcome(result) and score_row(result).outcome != listed[result.identity].outcome


def card_files(
    results: Sequence[ScoreResult],
    cards: Mapping[str, Sequence[ScoreResult]],
    others: Mapping[str, Sequence[object]],
) -> dict[str, bytes]:
    """Add the results to their cards, and give those cards by path.

    Args:
        results: to be added.
        cards: what is on their cards, by path.
        others: what else is there, which this version cannot read and leaves as it is, by path.
    """
    merged: dict[str, list[ScoreResult]] = {}
    for result in results:
        card = merged.get(result.card_path, [*cards.get(result.card_path, ())])
        if result not in card:
            merged[result.card_path] = [*(other for other in card if other.identity != result.identity), result]
    return {path: card_bytes(card, others.get(path, ())) for path, card in merged.items()}


def overview_files(rows: Sequence[ScoreRow], readme: bytes) -> dict[str, bytes]:
    """Table and README, by path."""
    return {TABLE_PATH: table_bytes(rows), README_PATH: readme}
