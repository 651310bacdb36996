"""The path is the architecture: one room an arrow, imports one way along it, and no outsider past a room's face."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lead_hub"

HUB = ("hub", "access")
STAGES = (
    *("labelled_images", "candidates", "checkpoint_files", "checkpoint_outputs"),
    *("transferability", "confidence", "score_cards", "leaderboard"),
)
# Every door of lead_hub, in the order in which a reader meets them: its duty, and the rooms that it may import beside
# `errors`. A new module finds its place here first.
ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "errors": ("everything that can go wrong, as one tree", ()),
    "hub": ("one request, patiently; refusals in words; files whole and hashed", ()),
    "access": ("as whom the Hub is asked, where files are kept, who still waits", ("hub",)),
    "processes": ("how the processes of a run stay in step", ()),
    "labelled_images": ("1 dataset id or folder -> LabelledImages", HUB),
    "candidates": ("2 ids, files, index, a question to the Hub -> Candidate...", HUB),
    "checkpoint_files": ("3 Candidate -> its files at one commit, fetched ahead", ("candidates", *HUB)),
    "checkpoint_outputs": (
        "4 files x images -> CheckpointOutputs, kept on disk",
        ("labelled_images", "checkpoint_files", "processes", *HUB),
    ),
    "transferability": ("5 features, labels -> score (pure)", ()),
    "confidence": ("6 terms per image -> how sure (pure)", ()),
    "score_cards": ("7 a board's document <-> cards on the Hub", ("confidence", *HUB)),
    "leaderboard": ("8 rows -> Leaderboard, its verdict, its text and pictures", ("confidence", "score_cards", *HUB)),
    "recommendation": ("the path 1..8: READ FIRST", (*STAGES, "processes", *HUB)),
    "finetuning": ("candidate x images -> what fine-tuning really gives", (*STAGES[:4], "processes", *HUB)),
    "rank_agreement": ("how well two orders agree", ()),
    "verification": (
        "leaderboard -> the same with outcomes",
        (
            *("recommendation", "finetuning", "leaderboard", "labelled_images", "candidates", "rank_agreement"),
            "processes",
            *("confidence", "score_cards", *HUB),
        ),
    ),
    "evaluate_modules": ("the scores and rank agreement as modules of evaluate", ("transferability", "rank_agreement")),
    "demo": (
        "the embedded pool of checkpoints and datasets, and the truth about them",
        ("candidates", "leaderboard", "rank_agreement"),
    ),
    "bench": (
        "every score against what fine-tuning really gave",
        (
            *("labelled_images", "checkpoint_outputs", "transferability", "confidence", "leaderboard"),
            *("recommendation", "rank_agreement", *HUB),
        ),
    ),
    "cli": (
        "the command line",
        (*STAGES, "recommendation", "finetuning", "verification", "demo", "bench", "processes", "spaces_app", *HUB),
    ),
    "__main__": ("python -m lead_hub", ("cli",)),
    "__init__": ("the public names", (*STAGES, "recommendation", "verification")),
}
MOST_DOORS = 22

# Third-party libraries that only these rooms may import.
ONLY_IN = {
    "torch": {
        *("checkpoint_outputs", "processes", "transferability", "recommendation", "bench", "finetuning"),
    },
    "transformers": {"checkpoint_outputs", "bench"},
    "timm": {"checkpoint_outputs", "bench"},
    "datasets": {"labelled_images", "evaluate_modules"},
    "accelerate": {"processes", "checkpoint_outputs", "recommendation", "finetuning"},
    "evaluate": {"evaluate_modules"},
    "peft": {"finetuning"},
    "scipy": {"rank_agreement"},
    "typer": {"cli"},
}

# Pure numerics: these, the standard library and the error tree, nothing else.
PURE = {"transferability": {"torch", "numpy", "jaxtyping"}, "confidence": {"numpy", "jaxtyping"}}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Dotted names of every import in a file, those inside functions included."""
    return {name for name, _ in imports(path)}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted name and line of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or "", node.lineno
            yield from ((f"lead_hub.{alias.name}", node.lineno) for alias in node.names if node.module == "lead_hub")


FILES = sorted(PACKAGE.rglob("*.py"))
SPACE = sorted((ROOT / "spaces_app").glob("*.py"))
MODULES = {module_name(path): path for path in (*FILES, *SPACE)}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_door_is_a_room_of_the_map() -> None:
    assert {room_of(path) for path in FILES} == set(ROOMS)
    assert len(ROOMS) <= MOST_DOORS


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=short)
def test_imports_run_one_way(path: Path) -> None:
    own = room_of(path)
    inner = {name.split(".")[1] for name in imported(path) if name.startswith("lead_hub.")} & set(ROOMS)
    others = {"spaces_app"} if any(name.startswith("spaces_app") for name in imported(path)) else set()
    assert (inner | others) - {own, "errors"} <= set(ROOMS[own][1])


def test_the_readme_has_the_same_map() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.partition("<!-- map -->")[2].partition("<!-- /map -->")[0].strip().splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines if not line.startswith("```"))
    doors = {room: f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py" for room in ROOMS}
    assert shown == {doors[room]: duty for room, (duty, _) in ROOMS.items()}
    assert list(shown) == [doors[room] for room in ROOMS]


def test_no_room_may_import_one_that_may_import_it() -> None:
    """Also through others: the map has no circle."""
    above: dict[str, set[str]] = {}
    waiting = {room: set(below) - {"spaces_app"} for room, (_, below) in ROOMS.items()}
    while waiting:
        ready = {room for room, below in waiting.items() if below <= set(above)}
        assert ready, f"a circle among {sorted(waiting)}"
        for room in ready:
            above[room] = waiting.pop(room)


@pytest.mark.parametrize("path", [*FILES, *SPACE], ids=short)
def test_outsiders_come_in_by_the_face(path: Path) -> None:
    own = room_of(path) if path in FILES else "spaces_app"
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] != "lead_hub" or len(parts) < 3 or parts[1] == own or name not in MODULES:
            continue
        is_inner_room = MODULES[name].name == "__init__.py"  # bench.paper
        assert is_inner_room, f"{short(path)}:{line} imports {name}, an inner file of {parts[1]}"


def test_no_import_circle_of_modules() -> None:
    """Through no file of the package, the command line or the page, inside functions included."""
    edges = {name: {found for found in map(own_module, imported(path)) if found} for name, path in MODULES.items()}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if state.get(name) == 1:
            raise AssertionError(" -> ".join((*trail[trail.index(name) :], name)))
        if state.get(name) == 2:
            return
        state[name] = 1
        for other in sorted(edges[name] - {name}):
            visit(other, (*trail, name))
        state[name] = 2

    for name in MODULES:
        visit(name, ())


def own_module(name: str) -> str:
    """The module of ours that a dotted name imports; a room's inner file imports its face at most by its parts."""
    return name if name in MODULES and name != "lead_hub" else ""


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=short)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imported(path)}
    strangers = {library for library in libraries if room_of(path) not in ONLY_IN.get(library, {room_of(path)})}
    assert strangers == set()


@pytest.mark.parametrize("room", PURE)
def test_numerics_are_pure(room: str) -> None:
    libraries: set[str] = set()
    for path in (PACKAGE / room).rglob("*.py"):
        libraries |= {name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names}
    outer = {name for name in libraries if not name.startswith(f"lead_hub.{room}")}
    assert {name.split(".")[0] for name in outer if name != "lead_hub.errors"} <= PURE[room]


def test_the_whole_path_is_known_to_one_room_alone() -> None:
    stages = {"labelled_images", "candidates", "checkpoint_outputs", "transferability", "leaderboard"}
    knowing = {
        room_of(path)
        for path in FILES
        if stages <= {name.split(".")[1] for name in imported(path) if name.startswith("lead_hub.")}
    }
    assert knowing == {"recommendation"}


def definitions(path: Path) -> list[str]:
    """Names of the functions and classes that a file defines at its top."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_no_two_modules_or_classes_have_one_name() -> None:
    modules = [path.stem for path in (*FILES, *SPACE) if path.stem != "__init__" and path.parent.name != "cli"]
    classes = [name for path in (*FILES, *SPACE) for name in definitions(path) if name[0].isupper()]
    assert {name for name in (*modules, *classes) if (*modules, *classes).count(name) > 1} == set()


@pytest.mark.parametrize("path", [*FILES, *SPACE], ids=short)
def test_no_module_is_named_like_what_it_exports(path: Path) -> None:
    # A score is its file, and a command is what the user types.
    if room_of(path) in {"transferability", "cli"} if path in FILES else False:
        return
    assert path.stem not in definitions(path)


# The one file that may catch whatever a stranger's checkpoint raises, so that it costs no other candidate.
LAST_RESORT = "lead_hub/processes.py"


@pytest.mark.parametrize("path", [*FILES, *SPACE], ids=short)
def test_house_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert path.stem not in {"utils", "common", "helpers"}
    for forbidden in ("nan_to_num", "trust_remote_code=True", "except Exception", "except:"):
        assert forbidden not in text or (forbidden, short(path)) == ("except Exception", LAST_RESORT)


# The page is wiring: no numerics, and of the Hub's client only its address and whether this machine is logged in.
# What agents read is written in the types of their protocol.
SPACE_LIBRARIES = {"gradio", "huggingface_hub", "lead_hub", "mcp", "spaces_app"}
SPACE_ASKS_OF_THE_HUB = {"huggingface_hub", "huggingface_hub.constants"}
# What is drawn and said knows nothing of components, so that it can be tested without them.
WITHOUT_GRADIO = {
    *(
        "answers",
        "demo_buttons",
        "example",
        "exported_space",
        "fine_tuning_script",
        "focus",
        "found_html",
        "request",
        "kept_boards",
        "left_runs",
        "runs",
        "shown",
        "snippets",
    ),
    *("picture_html", "status", "uploads", "verification_runs", "view", "visitor_reading", "visitors", "zero_gpu"),
}


@pytest.mark.parametrize("path", SPACE, ids=short)
def test_the_space_is_wiring(path: Path) -> None:
    names = {name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names}
    libraries = {name.split(".")[0] for name in names}
    assert libraries <= SPACE_LIBRARIES - ({"gradio"} if path.stem in WITHOUT_GRADIO else set())
    assert {name for name in names if name.startswith("huggingface_hub")} <= SPACE_ASKS_OF_THE_HUB
