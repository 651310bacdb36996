"""Scores that are a fact about the checkpoint and never look at the images: what any other score has to beat.

They give a checkpoint the same number on every dataset, so they cannot know which one suits the user's.
"""

from collections.abc import Mapping

from lead_hub.errors import ScoreError
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore


def static_score(method: ScoreMethod, facts: Mapping[str, float] | None) -> TransferabilityScore:
    """The fact that the method stands for.

    Raises:
        ScoreError: it is not known of this checkpoint, or no finite number.
    """
    known = dict(facts or {})
    if method.fact is None or method.fact not in known:
        raise ScoreError(
            f"{method.name} needs to know {method.fact} of the checkpoint, which is unknown; known:"
            f" {', '.join(sorted(known)) or 'nothing'}. Give it as facts, or choose a score that looks at images"
        )
    return TransferabilityScore(float(known[method.fact]))


def _baseline(name: str, fact: str, *, title: str, value_range: str) -> ScoreMethod:
    return ScoreMethod(
        name=name,
        function=None,
        title=f"{title}, a baseline that looks at no image",
        paper="no method: a baseline that every score should beat",
        range=value_range,
        needs_logits=False,
        cost="none",
        fact=fact,
    )


PARAMETERS = _baseline("parameters", "parameters", title="number of parameters", value_range="[1, inf)")
IMAGENET_TOP1 = _baseline(
    "imagenet-top1", "imagenet_top1_percent", title="published top-1 accuracy on ImageNet-1k", value_range="[0, 100]"
)
DOWNLOADS = _baseline("downloads", "downloads", title="downloads from the Hub", value_range="[0, inf)")
