"""What is decided from times by hand, and that both pieces are timed in every way there is."""

import pytest
import torch

from lead_hub.checkpoint_outputs.timed_pieces import (
    MOST_TURNS,
    Piece,
    TimedPieces,
    Way,
    decided_dtype,
    decided_layouts,
    decided_threads,
    in_turns,
    number_of_threads,
    others_compute,
    ways_of_formats,
)
from lead_hub.checkpoint_outputs.waiting_threads import Took

CPU = torch.device("cpu")
BOTH = (torch.float32, torch.bfloat16)


def times(convolutions: tuple[float, float], transformer: tuple[float, float]) -> dict[Way, float]:
    """Of both pieces in float32 and in bfloat16; channels last take twice as long."""
    found = {}
    for piece, both in (("convolutions", convolutions), ("transformer", transformer)):
        for dtype, seconds in zip(BOTH, both, strict=True):
            found[Way(piece, dtype)] = seconds  # type: ignore[arg-type]  # the two names
    plain = {way: seconds for way, seconds in found.items() if way.piece == "convolutions"}
    return found | {Way(way.piece, way.dtype, channels_last=True): 2 * seconds for way, seconds in plain.items()}


@pytest.mark.parametrize(
    ("convolutions", "transformer", "expected"),
    [
        ((3.0, 2.0), (3.0, 2.0), torch.bfloat16),  # 1.5 times as fast
        ((3.0, 2.0), (2.0, 2.0), torch.bfloat16),  # sqrt(1.5 x 1) = 1.22
        ((2.8, 2.0), (2.0, 2.0), torch.float32),  # sqrt(1.4) = 1.18
        ((9.0, 2.0), (1.91, 2.0), torch.bfloat16),  # as fast for the other, but for a twentieth
        ((9.0, 2.0), (1.89, 2.0), torch.float32),  # slower for one of them, however fast for the other
        ((2.2, 2.0), (2.2, 2.0), torch.float32),  # 1.1
        ((1.0, 9.0), (1.0, 9.0), torch.float32),
    ],
)
def test_what_changes_numbers_must_be_clearly_faster(
    convolutions: tuple[float, float], transformer: tuple[float, float], expected: torch.dtype
) -> None:
    for usual in BOTH:
        assert decided_dtype(times(convolutions, transformer), torch.bfloat16, usual=usual) == expected


def test_formats_are_compared_each_in_its_faster_layout() -> None:
    seconds = times((2.0, 2.0), (3.0, 2.0))
    assert decided_dtype(seconds, torch.bfloat16, usual=torch.float32) == torch.bfloat16  # sqrt(1 x 1.5) = 1.22
    seconds[Way("convolutions", torch.float32, channels_last=True)] = 1.0
    assert decided_dtype(seconds, torch.bfloat16, usual=torch.float32) == torch.float32
    seconds[Way("convolutions", torch.bfloat16, channels_last=True)] = 1.0
    assert decided_dtype(seconds, torch.bfloat16, usual=torch.float32) == torch.bfloat16


@pytest.mark.parametrize("missing", ["convolutions", "transformer"])
def test_what_was_not_measured_stays_as_it_was(missing: Piece) -> None:
    seconds = {way: took for way, took in times((9.0, 1.0), (9.0, 1.0)).items() if way.piece != missing}
    for usual in BOTH:
        assert decided_dtype(seconds, torch.bfloat16, usual=usual) == usual
        assert decided_dtype({}, torch.bfloat16, usual=usual) == usual


def test_channels_last_are_taken_unless_they_are_much_slower() -> None:
    """On an idle machine 13.5 for 11.1 ms were seen once, 16.4 for 16.8 ms seven times; whole networks gained."""
    seconds = times((2.0, 2.0), (1.0, 1.0))
    assert decided_layouts(seconds) == {torch.float32: False, torch.bfloat16: False}
    seconds[Way("convolutions", torch.bfloat16, channels_last=True)] = 3.0  # 1.5 times as long
    assert decided_layouts(seconds) == {torch.float32: False, torch.bfloat16: False}
    seconds[Way("convolutions", torch.bfloat16, channels_last=True)] = 2.9
    assert decided_layouts(seconds) == {torch.float32: False, torch.bfloat16: True}
    del seconds[Way("convolutions", torch.float32)]
    assert decided_layouts(seconds) == {torch.bfloat16: True}


def of_threads(*seconds: tuple[int, float, float]) -> dict[Way, float]:
    """So many threads, and how long either piece takes with them."""
    return {
        Way(piece, torch.bfloat16, n_threads=count): took
        for count, *both in seconds
        for piece, took in zip(("convolutions", "transformer"), both, strict=True)
    }  # type: ignore[misc]  # the two names


def test_another_number_of_threads_must_be_clearly_faster() -> None:
    assert decided_threads(of_threads((8, 1.0, 1.0), (16, 0.8, 0.95)), usual=8) == 16  # 1 / sqrt(0.76) = 1.15
    assert decided_threads(of_threads((8, 1.0, 1.0), (16, 0.8, 1.1)), usual=8) == 8  # 1 / sqrt(0.88) = 1.07
    assert decided_threads(of_threads((16, 1.0, 1.0), (8, 0.9, 0.9), (32, 0.8, 0.8)), usual=16) == 32
    assert decided_threads(of_threads((16, 1.0, 1.0), (8, 0.7, 0.7), (32, 0.8, 0.8)), usual=16) == 8
    assert decided_threads({}, usual=8) == 8


def test_others_compute_where_threads_have_less_than_three_quarters_of_their_time() -> None:
    """Four threads in 1 + 2 s could have 12 s, of which three quarters are 9."""
    assert others_compute([Took(1.0, 4.0), Took(2.0, 4.9)], 4)
    assert not others_compute([Took(1.0, 4.0), Took(2.0, 5.1)], 4)


def test_all_take_turns_and_the_first_turn_does_not_count() -> None:
    order = []

    def taking(name: str) -> Took:
        order.append(name)
        return Took(float(len(order)), 0.0)

    took = in_turns({"a": lambda: taking("a"), "b": lambda: taking("b")}, lambda: 1.0)
    assert order == ["a", "b"] * (MOST_TURNS + 1)
    assert [each.clock_s for each in took["a"]] == [3.0 + 2 * turn for turn in range(MOST_TURNS)]
    assert [each.clock_s for each in took["b"]] == [4.0 + 2 * turn for turn in range(MOST_TURNS)]


@pytest.mark.parametrize(("n_passes", "counted"), [(0, None), (1, None), (5, None), (6, 2), (7, 2), (8, 3)])
def test_only_whole_turns_within_the_time_count(n_passes: int, counted: int | None) -> None:
    """One turn that does not count and two that do are six passes of two ways."""
    left = iter([1.0] * n_passes + [0.0] * 100)
    took = in_turns({name: lambda: Took(1.0, 1.0) for name in "ab"}, lambda: next(left))
    assert {name: len(turns) for name, turns in took.items()} == (
        {} if counted is None else dict.fromkeys("ab", counted)
    )


def test_convolutions_are_timed_in_both_layouts_and_attention_in_one() -> None:
    assert sorted(map(str, ways_of_formats(BOTH))) == [
        "convolutions, bfloat16",
        "convolutions, bfloat16, channels last",
        "convolutions, float32",
        "convolutions, float32, channels last",
        "transformer, bfloat16",
        "transformer, float32",
    ]


@pytest.mark.slow
def test_every_way_is_timed_and_nothing_else_of_torch_is_changed() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    n_threads = torch.get_num_threads()
    seconds, fast = TimedPieces(CPU, limit_s=60.0).formats(torch.bfloat16)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == n_threads
    # A processor that only emulates bfloat16 is left alone with it.
    assert set(seconds) == set(ways_of_formats(BOTH if fast else (torch.float32,)))
    assert min(seconds.values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("n_cores", "is_told"), [(0, True), (1000, False)])
def test_threads_are_timed_over_both_pieces_unless_others_have_the_cores(n_cores: int, *, is_told: bool) -> None:
    """Of no core nobody can have too much; a thousand threads on as many cores would need a thousand cores."""
    n_threads = torch.get_num_threads()
    counts = (1, 2) if is_told else (1, 1000)
    seconds = TimedPieces(CPU, limit_s=60.0).threads(counts, torch.float32, channels_last=True, n_cores=n_cores)
    assert torch.get_num_threads() == n_threads
    assert set(seconds) == (set(expected_ways()) if is_told else set())


def expected_ways() -> list[Way]:
    return [
        way
        for count in (1, 2)
        for way in (
            Way("convolutions", torch.float32, channels_last=True, n_threads=count),
            Way("transformer", torch.float32, n_threads=count),
        )
    ]


def test_without_any_time_nothing_is_found() -> None:
    pieces = TimedPieces(CPU, limit_s=0.0)
    assert pieces.formats(None) == ({}, None)
    assert pieces.threads([1, 2], torch.float32, channels_last=False, n_cores=2) == {}


def test_a_device_that_cannot_run_them_says_nothing_of_formats() -> None:
    """No accelerator waits for the device "meta", which computes nothing."""
    assert TimedPieces(torch.device("meta"), limit_s=1.0).formats(torch.bfloat16) == ({}, torch.bfloat16)


def test_threads_are_given_back_whatever_happens() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="3"), number_of_threads(3):
        raise ValueError(torch.get_num_threads())
    assert torch.get_num_threads() == before
