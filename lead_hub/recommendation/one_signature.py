"""`recommend`, the call with the signature of the record: what it takes stands in one place."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal, ParamSpec, Protocol, overload

from lead_hub.leaderboard import Leaderboard

Arguments = ParamSpec("Arguments")


class Asked(Protocol):
    """A record of a run, which gives its boards when it is iterated."""

    @property
    def last_board(self) -> Leaderboard: ...
    def __iter__(self) -> Iterator[Leaderboard]: ...


class Recommend(Protocol[Arguments]):
    """A call that takes what the record takes, and `stream`."""

    @overload
    def __call__(self, *arguments: Arguments.args, **options: Arguments.kwargs) -> Leaderboard: ...
    @overload
    def __call__(self, *arguments: Any, stream: Literal[True], **options: Any) -> Iterator[Leaderboard]: ...


def call_of(record: Callable[Arguments, Asked]) -> Recommend[Arguments]:
    """`recommend`: the record's own signature is the one place where its arguments stand."""

    @functools.wraps(record, assigned=("__doc__", "__module__"), updated=())
    def recommend(*arguments: Any, stream: bool = False, **options: Any) -> Leaderboard | Iterator[Leaderboard]:
        asked = record(*arguments, **options)
        return iter(asked) if stream else asked.last_board

    recommend.__qualname__ = "recommend"  # so that it can be sent to another process
    own = inspect.signature(record)
    stream = inspect.Parameter("stream", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
    positional = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    named = [each for each in own.parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    result = Leaderboard | Iterator[Leaderboard]
    signature = inspect.Signature([*positional, stream, *named], return_annotation=result)
    recommend.__signature__ = signature  # type: ignore[attr-defined]  # what help() and editors show
    return recommend  # type: ignore[return-value]  # the two ways to call it are told by `Recommend`
