"""33 transient faults, each at the first, second or third request of its kind in a whole run with a push."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from pathlib import Path

from lead_hub import Leaderboard, recommend
from tests.benchmarks.faults.trial import Trial, scores
from tests.conftest import COLOURS, HUB, coloured_images
from tests.loopback_hub import Fault
from tests.loopback_hub.wire import Call
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

CARDS = "/alice/cards"

# A kind of request by a part of its path, and which one of the kind meets the fault.
REQUESTS = (
    ("/api/datasets/org/colours", (1, 2, 3)),
    ("/tree/", (1, 2, 1)),
    ("/README.md", (1, 2, 1)),
    (".png", (1, 2, 3)),
    ("/api/models/org/", (1, 2, 1)),
    ("/config.json", (1, 2, 3)),
    ("/preprocessor_config.json", (1, 2, 1)),
    ("model.safetensors", (1, 2, 3)),
    (f"/api/datasets{CARDS}", (1, 2, 3)),
    (f"/api/datasets{CARDS}/commit", (1, 1, 1)),
    (f"{CARDS}/resolve", (1, 2, 3)),
)
FAULTS = (
    Fault("status", status=503),
    Fault("cut"),
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("lost_reply"),
    Fault("wrong_bytes", method="GET"),
    Fault("slow", seconds=1.5),
    Fault("cut", method="GET", after_bytes=7),
)


@dataclass(frozen=True)
class NthFault(Fault):
    """Meets one request alone, the n-th that it fits."""

    nth: int = 1
    seen: list[str] = field(default_factory=list)

    def hits(self, call: Call) -> bool:
        if not super().hits(call):
            return False
        self.seen.append(call.path)
        return len(self.seen) == self.nth


def trials(folder: Path) -> Iterator[Trial]:
    """Each on a Hub of its own; all must give the scores of the first run, which meets none."""
    coloured_images(folder / "images", classes=COLOURS, n_images=4)
    for name in ("resnet", "vit"):
        save_checkpoint(folder / name, FAMILIES[name].build(head=True), tiny_processor(FAMILIES[name].processor))
    calm = whole_run(folder, "calm", fault=None)
    faults = cycle(FAULTS)
    for match, places in REQUESTS:
        for number, nth in enumerate(places):
            kind = next(faults)
            if match.endswith("/commit") and kind.method == "GET":
                kind = FAULTS[0]
            fault = NthFault(**{**vars(replace(kind, match=match)), "nth": nth})
            home = f"{match}-{number}".replace("/", "_")
            name = f"{kind.kind} at request {nth} of {match}"
            yield Trial(name, partial(outlived, folder, home, fault, calm))


def outlived(folder: Path, home: str, fault: NthFault, calm: dict[str, float]) -> str:
    found = whole_run(folder, home, fault=fault)
    if HUB.faults.left():
        return f"the fault was not met, there were {len(fault.seen)} such requests"
    return "" if found == calm else f"other scores: {found}"


def whole_run(folder: Path, home: str, *, fault: Fault | None) -> dict[str, float]:
    """The scores as the Hub has them after a run and a push, with caches of its own."""
    HUB.reset()
    token = HUB.add_user("alice")
    # The card is another one each time, so that no cache that is shared holds it from an earlier run.
    card = f"---\nlicense: mit\n---\n# {home}\n".encode()
    HUB.add_repo("org/colours", kind="dataset", folder=folder / "images", files={"README.md": card})
    for name in ("resnet", "vit"):
        HUB.add_repo(f"org/{name}", folder=folder / name)
    if fault:
        HUB.add_fault(fault)
    board = recommend("org/colours", ["org/resnet", "org/vit"], cache_dir=folder / home, token=token, progress=False)
    assert not board.skipped, board.skipped
    board.push_to_hub("alice/cards", token=token)
    return scores(Leaderboard.from_hub("alice/cards", dataset="org/colours", token=token))
