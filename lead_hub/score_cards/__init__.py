"""Stage 7: score cards, a leaderboard's scores in a dataset repository of the user's own, for others to reuse.

document -> ScoreResult per row -> cards, table, README -> one commit      push_scores
repository -> table -> cards, each checked against its hash -> document    read_scores, load_cards

cards/<dataset>/<checkpoint>@<sha>.json   all results of a checkpoint on a dataset; the record
data/scores.parquet                       one line a result, in the order of the pushes; made anew if it is lost
README.md                                 front matter, rankings, how to read them
"""

from lead_hub.score_cards.card import ScoreResult, ranking_id
from lead_hub.score_cards.public_names import HUB_ID
from lead_hub.score_cards.push import Push, PushSettings, push_scores
from lead_hub.score_cards.reading import ScoreCards, load_cards, read_file, read_scores, scored_results
from lead_hub.score_cards.readme import escaped as escaped_markdown
from lead_hub.score_cards.standings import (
    Standings,
    parse_standings,
    standings_among,
    standings_of,
    standings_text,
)

__all__ = [
    "HUB_ID",
    "Push",
    "PushSettings",
    "ScoreCards",
    "ScoreResult",
    "Standings",
    "escaped_markdown",
    "load_cards",
    "parse_standings",
    "push_scores",
    "ranking_id",
    "read_file",
    "read_scores",
    "scored_results",
    "standings_among",
    "standings_of",
    "standings_text",
]
