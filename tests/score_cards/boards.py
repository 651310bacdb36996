"""Leaderboards to push, written by hand: no score is computed here."""

from dataclasses import replace

from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, RankedDataset
from lead_hub.leaderboard.board import rank

FLOWERS = RankedDataset(
    dataset="org/flowers",
    sha="a" * 40,
    is_local=False,
    config="small",
    split="train",
    image_column="image",
    label_column="label",
    class_names=("rose", 'tulip, "red"', "ばら"),
    n_images=120,
    rows_sha256="b" * 64,
    notes=("1 image could not be read",),
    is_private=False,
)
GOOD = RankedCheckpoint(
    "org/good",
    -0.25,
    sha="1" * 40,
    companions={"loo_accuracy": 0.9375, "lead_p": 1e-30},
    family="resnet",
    parameters=11_000_000,
    licence="mit",
    n_features=512,
    n_source_classes=1000,
    pooling="mean",
    processor="ConvNextImageProcessor",
    dtype="float32",
    device="cpu",
    images_per_s=12.5,
    is_private=False,
)
FAIR = RankedCheckpoint(
    "org/fair", -0.5, revision="v1", sha="2" * 40, parameters=5_000_000, trained_on_dataset=True, is_private=False
)
POOR = RankedCheckpoint(
    "alice/poor", -2.0, sha="3" * 40, companions={"loo_accuracy": 0.4}, parameters=86_000_000, is_private=False
)


def board_of(*rows: RankedCheckpoint, dataset: RankedDataset = FLOWERS, method: str = "lead") -> Leaderboard:
    board = Leaderboard(
        dataset=dataset,
        method=method,
        rows=(),
        skipped=(),
        settings={"seed": 0, "max_images": 2000, "batch_size": "auto"},
        versions={"python": "3.11.7", "lead-hub": "0.1.0"},
        n_candidates=len(rows),
    )
    for row in rows:
        board = replace(board, rows=rank([*board.rows, row]))
    return board


BOARD = board_of(GOOD, FAIR, POOR)
PRIVATE = replace(FLOWERS, dataset="alice/secret", is_private=True)
