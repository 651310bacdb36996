"""Everything that can go wrong, as one tree.

    LeadHubError
    ├── DatasetError     the images or labels cannot be used: the run stops
    ├── CandidateError   this checkpoint cannot be used: it is skipped, the run goes on
    ├── ScoreError       the score is undefined for these outputs: never a made-up number
    ├── HubError         the Hub answered no, or not at all
    └── RunCancelledError  the caller wants no more: ends a run, never leaves it

Every message says what must hold, what was found, and what to do next. Most quote another library, so each passes
`redacted`: no token and no password leaves with it, and no library's advice to run a stranger's code.
"""

import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

# Where a run, or a checkpoint of it, is or has failed; "find" the candidate, "finetune" only to verify.
Stage: TypeAlias = Literal["dataset", "find", "download", "load", "extract", "score", "finetune"]

HIDDEN = "***"
SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(?:hf|api_org)_(?:oauth_[\w.-]{8,}|[A-Za-z0-9]{16,})"), HIDDEN),
    (re.compile(r"(\w://)[^/\s'\"?#]+@"), r"\1"),  # the user and the password of an address
)
# Sentences by which torch and transformers explain how to run what a stranger's file holds.
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
ADVICE = re.compile(
    r"weights_only\W+(set\W+)?(to\W+)?False|trust_remote_code|safe_globals|two options|only if you got the file"
    r"|default value of the .weights_only|Alternatively, to load with .weights_only|documentation of torch\.load"
)
SHORTEST_SECRET = 8
# Tokens in use that do not look like one, kept because an error may come from any thread of the process.
_odd_tokens: deque[str] = deque(maxlen=100)


def redacted(text: str) -> str:
    """The text without tokens, without the user and password of an address, and without advice to run foreign code."""
    for token in tuple(_odd_tokens):
        text = text.replace(token, HIDDEN)
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return without_advice(text) if ADVICE.search(text) else text


def without_advice(text: str) -> str:
    """The text without the sentences that give such advice; what stands before a colon in the first one is ours."""
    parts = []
    for part in text.split("; "):
        kept = [sentence for sentence in SENTENCE_END.split(part) if not ADVICE.search(sentence)]
        parts += [" ".join(kept).strip()]
    ours = ADVICE.split(text, maxsplit=1)[0].rpartition(": ")[0]
    start = "" if SENTENCE_END.search(ours) else ours
    found = "; ".join(filter(None, parts))
    return found if found.startswith(start) else f"{start}; {found}" if found else start


def hide(token: str) -> None:
    """From now on `redacted` leaves this token out, whatever it looks like; one of a few letters could be any word."""
    if len(token) >= SHORTEST_SECRET and redacted(token) == token:
        _odd_tokens.append(token)


class LeadHubError(Exception):
    """Base of every error that lead-hub raises on purpose; its message is `redacted`."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(redacted(each) if isinstance(each, str) else each for each in arguments))


class DatasetError(LeadHubError):
    """The labelled images cannot be read or are not a single-label classification task."""


class CandidateError(LeadHubError):
    """One checkpoint cannot be scored.

    Attributes:
        stage: where it failed.
    """

    def __init__(self, message: str, *, stage: Stage) -> None:
        super().__init__(message)
        self.stage = stage

    def __reduce__(self) -> tuple[Callable[[str], "CandidateError"], tuple[str]]:
        # Exceptions rebuild themselves from positional arguments alone; this one travels between processes.
        return partial(CandidateError, stage=self.stage), (str(self),)


class ScoreError(LeadHubError):
    """A transferability score is undefined for the given features and labels."""


class HubError(LeadHubError):
    """The Hugging Face Hub refused or could not be reached."""


class RunCancelledError(LeadHubError):
    """The caller of a run wants no more of it; its board so far is what it gives."""
