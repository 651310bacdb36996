"""The path is the architecture: imports run one way along it, and each stage keeps to its libraries."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lead_hub"

# Every module, each after all those that it may import. A new module finds its place here first.
ORDER = [
    "errors",
    # the Hub, asked patiently: every stage that asks it
    "hub_requests",
    # 1 dataset id or folder -> LabelledImages
    "labelled_images",
    # 2 ids, folders, index -> Candidates
    "model_index_checks",
    "model_index",
    "found_candidates",
    "candidates",
    "hub_checkpoint",
    "checkpoint_files",
    "downloads",
    # 3 candidate x images -> CheckpointOutputs
    "checkpoint_outputs",
    "pooling",
    "loaded_checkpoint",
    "processes",
    "extraction",
    "outputs_cache",
    # 4 outputs -> float
    "transferability",
    "confidence",
    # 5 scores and skipped -> Leaderboard
    "leaderboard_rows",
    "leaderboard_verdict",
    "leaderboard_file",
    "score_cards",
    "leaderboard",
    "provenance",
    # the truth beside the prediction
    "finetuning",
    # the whole path, and what stands around it
    "run_progress",
    "machine_speed",
    "run_estimate",
    "recommendation",
    "feature_file",
    "rank_agreement",
    "verification",
    "evaluate_modules",
    "demo",
    # every score against what fine-tuning really gave
    "bench",
    "terminal",
    "cli",
    "__main__",
]

# Third-party libraries that only these modules may import.
ONLY_IN = {
    "torch": {
        *("checkpoint_outputs", "pooling", "loaded_checkpoint", "processes", "extraction", "outputs_cache"),
        *("transferability", "provenance", "recommendation", "bench", "finetuning", "machine_speed"),
    },
    "transformers": {"pooling", "loaded_checkpoint"},
    "datasets": {"labelled_images", "evaluate_modules"},
    "accelerate": {"processes", "extraction", "recommendation", "finetuning"},
    "evaluate": {"evaluate_modules"},
    "peft": {"finetuning"},
    "scipy": {"rank_agreement"},
    "typer": {"cli"},
}

# transferability is pure numerics: these, the standard library and the error tree, nothing else.
SCORE_LIBRARIES = {"torch", "numpy", "jaxtyping"}

# confidence is too, and needs no torch.
CONFIDENCE_LIBRARIES = {"numpy", "jaxtyping"}


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names of every import in a file, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""}
            names |= {f"lead_hub.{alias.name}" for alias in node.names if node.module == "lead_hub"}
    return names


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_every_module_has_its_place() -> None:
    assert sorted({module_of(path) for path in FILES}) == sorted(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    place = ORDER.index(module_of(path))
    inner = {name.split(".")[1] for name in imported(path) if name.startswith("lead_hub.")} & set(ORDER)
    assert {name for name in inner if ORDER.index(name) > place} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_in_their_stage(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imported(path)}
    strangers = {library for library in libraries if module_of(path) not in ONLY_IN.get(library, {module_of(path)})}
    assert strangers == set()


@pytest.mark.parametrize(
    ("package", "allowed"), [("transferability", SCORE_LIBRARIES), ("confidence", CONFIDENCE_LIBRARIES)]
)
def test_numerics_are_pure(package: str, allowed: set[str]) -> None:
    libraries: set[str] = set()
    for path in (PACKAGE / package).rglob("*.py"):
        libraries |= {name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names}
    outer = {name for name in libraries if not name.startswith(f"lead_hub.{package}")}
    assert {name.split(".")[0] for name in outer if name != "lead_hub.errors"} <= allowed


def test_the_whole_path_is_known_to_one_file_alone() -> None:
    stages = {"labelled_images", "candidates", "extraction", "transferability", "leaderboard"}
    knowing = {
        module_of(path)
        for path in FILES
        if stages <= {name.split(".")[1] for name in imported(path) if name.startswith("lead_hub.")}
    }
    assert knowing == {"recommendation"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_house_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert path.stem not in {"utils", "common", "helpers"}
    for forbidden in ("nan_to_num", "trust_remote_code=True", "except Exception", "except:"):
        assert forbidden not in text


SPACE = sorted((PACKAGE.parent / "spaces_app").glob("*.py"))
# The page is wiring: no numerics, and of the Hub's client only its address and whether this machine is logged in.
SPACE_LIBRARIES = {"gradio", "huggingface_hub", "lead_hub", "spaces_app"}
SPACE_ASKS_OF_THE_HUB = {"huggingface_hub", "huggingface_hub.constants"}
# What is drawn and said knows nothing of components, so that it can be tested without them.
WITHOUT_GRADIO = {
    *("answer", "confusion_figure", "drawing", "figures", "fine_tuning_snippet", "fine_tuning_template"),
    *("interval_figure", "request", "runs", "shown_text", "size_figure", "snippet_literals", "snippets", "status"),
    *("uploads", "view", "visitors", "zero_gpu", "export"),
}


@pytest.mark.parametrize("path", SPACE, ids=lambda path: path.stem)
def test_the_space_is_wiring(path: Path) -> None:
    names = {name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names}
    libraries = {name.split(".")[0] for name in names}
    assert libraries <= SPACE_LIBRARIES - ({"gradio"} if path.stem in WITHOUT_GRADIO else set())
    assert {name for name in names if name.startswith("huggingface_hub")} <= SPACE_ASKS_OF_THE_HUB
    test_house_rules(path)
