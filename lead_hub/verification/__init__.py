"""verify(): the first of a leaderboard, really fine-tuned, outcome beside prediction.

Leaderboard -> the same images again -> finetune the top k -> Leaderboard with FineTunedAccuracy
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from lead_hub.hub_requests import Token
from lead_hub.leaderboard import Leaderboard
from lead_hub.verification.agreement import Agreement, agreement
from lead_hub.verification.finetuned_rows import FAILED, stream_verified
from lead_hub.verification.request import Verification, verification_of

__all__ = ["FAILED", "Agreement", "Verification", "agreement", "stream_verified", "verification_of", "verify"]


def verify(  # noqa: PLR0913 - the one call that users see carries every choice that they may make
    board: Leaderboard | str | Path,
    top: int = 3,
    *,
    mode: str = "full",
    learning_rates: Sequence[float | int] | None = None,
    epochs: int | None = None,
    seeds: Sequence[int] | None = None,
    budget: float | int | str | None = None,
    test_split: str | None = None,
    flip: bool = True,
    cache_dir: str | Path | None = None,
    token: Token = None,
    allow_pickle: bool = False,
    progress: bool = True,
) -> Leaderboard:
    """Fine-tune the first checkpoints of a leaderboard on the images that it was made on.

    The same commit, columns, classes and sampled images are trained on. What measures is the dataset's test split, or
    without one a fifth of the images, which then trains nothing. See `lead_hub.finetuning.finetune` for the recipe.

    Args:
        board: or the path of one that was saved as .json or .parquet.
        top: how many are fine-tuned, from the first on.
        mode: "full", "lora" or "probe", as of `finetune`.
        learning_rates: as of `finetune`.
        epochs: as of `finetune`.
        seeds: as of `finetune`.
        budget: seconds, or "90s", "30m", "2h", for all checkpoints together; each gets an equal part of what is left.
        test_split: the split that measures; None means "test" where there is one.
        flip: as of `finetune`.
        cache_dir: as of `recommend`.
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.
        allow_pickle: also accept weights as pickle files, loaded with `weights_only`.
        progress: show bars on a terminal's standard error.

    Returns:
        The board with `finetuned` in the rows that were fine-tuned. Where that failed the row's note says why.

    Raises:
        DatasetError: the images cannot be read, or are not those of the board any more.
        CandidateError: the board has no rows.
        HubError: the Hub refused the dataset, or cannot be reached.
        LeadHubError: a choice that cannot be, peft is missing, or the file holds no leaderboard.
    """
    verification = verification_of(
        board if isinstance(board, Leaderboard) else Leaderboard.load(board),
        top,
        mode=mode,
        learning_rates=learning_rates,
        epochs=epochs,
        seeds=seeds,
        budget=budget,
        test_split=test_split,
        flip=flip,
        cache_dir=cache_dir,
        token=token,
        allow_pickle=allow_pickle,
        progress=progress,
    )
    return deque(stream_verified(verification), maxlen=1).pop()
