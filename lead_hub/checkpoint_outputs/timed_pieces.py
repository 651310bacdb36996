"""Two pieces of network by the stopwatch, each in every way in which a device may run them, and what that decides.

A residual block of convolutions and a block of a transformer, as they stand in the middle of a ResNet-50 and of a
ViT-S. All ways take turns and of each the fastest turn counts: what else the machine does disturbs them alike. Formats
and layouts are compared on one core of a processor, by the time that it worked: other programs do not count there.
`python -m tests.benchmarks.machine_settings` shows what comes of it on a machine.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lead_hub.checkpoint_outputs.freed_memory import freed_memory_kept
from lead_hub.checkpoint_outputs.number_format import passes_in
from lead_hub.checkpoint_outputs.waiting_threads import LEAST_HAD, Took, now

Piece = Literal["convolutions", "transformer"]
PIECES: tuple[Piece, ...] = ("convolutions", "transformer")
Key = TypeVar("Key")

CHANNELS, MAP_PX = 128, 28
TOKENS, WIDTH, HEADS = 197, 384, 6
# Of a pass, as far as time allows: with fewer a processor's cores and a GPU are not busy.
MOST_IMAGES = {"cpu": 8, "cuda": 128}
# Turns of each way. One turn alone tells nothing of what disturbed it.
MOST_TURNS, FEWEST_TURNS = 6, 2
SPARED = 0.7  # of the time that is left, what the turns are planned for: they may take longer than one image tells
# A format that changes numbers must be worth it.
CLEARLY_FASTER, NO_SLOWER, FASTER_WITH_OTHER_THREADS = 1.2, 0.95, 1.1
# Of dense convolutions alone both orders in memory take nearly the same time, and by chance the usual one less, where
# whole networks, with depthwise ones among them, are faster with channels last: only much slower ones speak against it.
MUCH_SLOWER = 1.5
ONE_IMAGE_PASSES = 3  # one alone may have been disturbed
HOPELESS = 4.0  # times as long for one image: emulated, not computed in hardware


@dataclass(frozen=True)
class Way:
    """How a piece is run.

    Attributes:
        piece: which.
        dtype: number format.
        channels_last: whether feature maps have their channels last in memory.
        n_threads: of torch; None for as many as there are.
    """

    piece: Piece
    dtype: torch.dtype
    channels_last: bool = False
    n_threads: int | None = None

    def __str__(self) -> str:
        words = [self.piece, str(self.dtype).removeprefix("torch.")]
        words += ["channels last"] if self.channels_last else []
        words += [] if self.n_threads is None else [f"{self.n_threads} threads"]
        return ", ".join(words)


Seconds = Mapping[Way, float]


class Residual(nn.Module):
    """Two convolutions whose batch norms are part of them, around which the input goes as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.second(torch.relu(self.first(maps))))


class Transformer(nn.Module):
    """Attention and a perceptron of one hidden layer, each behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query_key_value, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        heads = self.query_key_value(self.before_attention(tokens)).unflatten(-1, (3, HEADS, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(attended)
        return tokens + torch.as_tensor(self.perceptron(self.before_perceptron(tokens)))


def ways_of_formats(dtypes: Sequence[torch.dtype]) -> list[Way]:
    """Both pieces in these formats, convolutions in both layouts as well."""
    layouts = {"convolutions": (False, True), "transformer": (False,)}
    return [Way(piece, dtype, is_last) for dtype, piece in product(dtypes, PIECES) for is_last in layouts[piece]]


def decided_dtype(seconds: Seconds, fast: torch.dtype, *, usual: torch.dtype) -> torch.dtype:
    """The fast format where it is clearly faster than float32 and for neither piece slower, else float32.

    Args:
        seconds: of ways of both formats.
        fast: that may be faster.
        usual: the answer where a format was not measured.
    """
    gains = []
    for piece in PIECES:
        best = [
            min((took for way, took in seconds.items() if (way.piece, way.dtype) == (piece, dtype)), default=None)
            for dtype in (torch.float32, fast)
        ]
        if best[0] is None or best[1] is None:
            return usual
        gains.append(best[0] / best[1])
    return fast if min(gains) >= NO_SLOWER and math.prod(gains) >= CLEARLY_FASTER ** len(gains) else torch.float32


def decided_layouts(seconds: Seconds) -> dict[torch.dtype, bool]:
    """Of every format that was measured in both layouts, whether channels stand last: unless it is much slower."""
    found = {}
    for dtype in {way.dtype for way in seconds}:
        plain, last = (seconds.get(Way("convolutions", dtype, is_last)) for is_last in (False, True))
        if plain is not None and last is not None:
            found[dtype] = last < MUCH_SLOWER * plain
    return found


def decided_threads(seconds: Seconds, *, usual: int) -> int:
    """The number of threads that is fastest over both pieces where it is clearly faster than the usual, else that."""

    def product_s(n_threads: int) -> float:
        return math.prod(took for way, took in seconds.items() if way.n_threads == n_threads)

    counts = {way.n_threads for way in seconds if way.n_threads is not None}
    if usual not in counts:
        return usual
    fastest = min(sorted(counts), key=product_s)
    gain = (product_s(usual) / product_s(fastest)) ** (1 / len(PIECES))
    return fastest if gain >= FASTER_WITH_OTHER_THREADS else usual


class TimedPieces:
    """Both pieces on a device, to be run in one way after the other until a moment."""

    def __init__(self, device: torch.device, *, limit_s: float) -> None:
        """Pieces with random weights; torch's own random numbers go on as if there were none.

        Args:
            device: on which they run.
            limit_s: seconds that each question may take, beyond what a device's first pass needs in any run.
        """
        self._device, self._limit_s = device, limit_s
        self._one_image: dict[Way, Took] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._modules: dict[Piece, nn.Module] = {"convolutions": Residual(), "transformer": Transformer()}
            self._inputs: dict[Piece, Tensor] = {
                "convolutions": torch.randn(1, CHANNELS, MAP_PX, MAP_PX),
                "transformer": torch.randn(1, TOKENS, WIDTH),
            }

    def formats(self, fast: torch.dtype | None) -> tuple[Seconds, torch.dtype | None]:
        """Seconds of both pieces in float32 and in the fast format, and that format where it is not hopeless.

        Nothing where time was over before every way had its turns, or the device could not run the pieces.
        """
        with number_of_threads(1 if self._device.type == "cpu" else None):
            try:
                get_left_s = self._begun()
                if fast is not None and self._is_hopeless(fast):
                    fast = None
                ways = ways_of_formats([torch.float32] if fast is None else [torch.float32, fast])
                took = self._turns(ways, get_left_s)
                return {way: min(map(self._seconds, turns)) for way, turns in took.items()}, fast
            except RuntimeError:  # out of memory, on a GPU that others use
                return {}, fast

    def threads(self, counts: Sequence[int], dtype: torch.dtype, *, channels_last: bool, n_cores: int) -> Seconds:
        """Seconds with each number of threads; nothing as above, and where other programs have the cores."""
        ways = [
            Way(piece, dtype, channels_last=channels_last and piece == "convolutions", n_threads=count)
            for count, piece in product(counts, PIECES)
        ]
        took = self._turns(ways, self._begun())
        if any(others_compute(turns, min(way.n_threads or 1, n_cores)) for way, turns in took.items()):
            return {}
        return {way: min(each.clock_s for each in turns) for way, turns in took.items()}

    def _begun(self) -> Callable[[], float]:
        for piece in PIECES:
            self._modules[piece].eval().to(self._device)
            self._took(Way(piece, torch.float32), 1)
        end_s = time.monotonic() + self._limit_s
        return lambda: end_s - time.monotonic()

    def _is_hopeless(self, fast: torch.dtype) -> bool:
        for piece in PIECES:
            usual_s = self._seconds(self._of_one_image(Way(piece, torch.float32)))
            try:
                fast_s = self._seconds(self._of_one_image(Way(piece, fast)))
            except torch.OutOfMemoryError:  # which says nothing of the format
                raise
            except (RuntimeError, TypeError):  # a device that does not know the format
                return True
            if fast_s > HOPELESS * usual_s:
                return True
        return False

    def _turns(self, ways: Sequence[Way], get_left_s: Callable[[], float]) -> Mapping[Way, Sequence[Took]]:
        each_s = sum(self._of_one_image(way).clock_s for way in ways if get_left_s() > 0)
        n_images = int(SPARED * get_left_s() / max(each_s * (MOST_TURNS + 1), 1e-9))
        n_images = max(1, min(MOST_IMAGES.get(self._device.type, 8), n_images))
        with freed_memory_kept(self._device):
            return in_turns({way: partial(self._took, way, n_images) for way in ways}, get_left_s)

    def _of_one_image(self, way: Way) -> Took:
        """What a pass of one image took, the fastest of some: the first prepares what the others use."""
        if way not in self._one_image:
            passes = [self._took(way, 1) for _ in range(1 + ONE_IMAGE_PASSES)][1:]
            self._one_image[way] = min(passes, key=self._seconds)
        return self._one_image[way]

    def _took(self, way: Way, n_images: int) -> Took:
        inputs = self._inputs[way.piece].to(self._device).repeat_interleave(n_images, dim=0)
        module = self._modules[way.piece]
        if way.piece == "convolutions":
            order = torch.channels_last if way.channels_last else torch.contiguous_format
            module, inputs = module.to(memory_format=order), inputs.contiguous(memory_format=order)
        with number_of_threads(way.n_threads), torch.inference_mode(), passes_in(way.dtype, self._device):
            self._finish()
            get_now = of_this_thread if way.n_threads is None else now
            start = get_now()
            module(inputs)
            self._finish()
            end = get_now()
        return Took(end.clock_s - start.clock_s, end.processor_s - start.processor_s)

    def _seconds(self, took: Took) -> float:
        # Windows counts a thread's time in steps as long as a pass.
        return took.processor_s if self._device.type == "cpu" and sys.platform != "win32" else took.clock_s

    def _finish(self) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def others_compute(turns: Sequence[Took], n_threads: int) -> bool:
    """Whether so many threads, which spin while they wait, had much less of the processor than the time that passed."""
    could_have_s = n_threads * sum(each.clock_s for each in turns)
    return sum(each.processor_s for each in turns) < LEAST_HAD * could_have_s


def of_this_thread() -> Took:
    """Seconds since some moment, those of the processor by this thread alone."""
    return Took(time.perf_counter(), time.thread_time())


def in_turns(passes: Mapping[Key, Callable[[], Took]], get_left_s: Callable[[], float]) -> dict[Key, list[Took]]:
    """What each pass took, all one after the other and then again, after a turn that does not count.

    Args:
        passes: to be timed.
        get_left_s: seconds that are left; the turn that they end in does not count.

    Returns:
        As many turns of each; nothing where they are fewer than FEWEST_TURNS.
    """
    took: dict[Key, list[Took]] = {key: [] for key in passes}
    for _ in range(MOST_TURNS + 1):
        turn = {}
        for key, run in passes.items():
            if get_left_s() <= 0:
                break
            turn[key] = run()
        if len(turn) < len(passes):
            break
        for key, each in turn.items():
            took[key].append(each)
    counted = {key: turns[1:] for key, turns in took.items()}
    return counted if all(len(turns) >= FEWEST_TURNS for turns in counted.values()) else {}


@contextmanager
def number_of_threads(n_threads: int | None) -> Iterator[None]:
    """Within the block this thread's passes are computed by so many; None for as many as there are."""
    before = torch.get_num_threads()
    if n_threads is None or n_threads == before:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
