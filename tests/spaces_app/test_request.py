"""What a visitor may ask for, on one's own machine and on a shared one; links that carry a question."""

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from lead_hub.candidates import IndexQuery
from lead_hub.demo import FOLDER
from lead_hub.errors import CandidateError, DatasetError, LeadHubError
from spaces_app.request import MOST_IMAGES, MOST_OWN, RunRequest, from_link

FULL = RunRequest(
    dataset="org/birds",
    config="small",
    split="train+extra",
    image_column="picture & co",
    label_column="ĺabel=1",
    revision="refs/pr/1",
    source="own",
    max_parameters=30_000_000,
    permissive=True,
    families=("resnet", "vit"),
    limit=7,
    own_candidates=("org/a@main", "org/b"),
    max_images=123,
    score="logme",
    budget="20%",
    preset="small",
)


@pytest.mark.parametrize("request_", [FULL, RunRequest("org/birds"), RunRequest("demo:emoji", source="demo")])
def test_a_link_carries_the_whole_question(request_: RunRequest) -> None:
    assert from_link(parse_qsl(request_.to_link())) == request_


def test_a_link_holds_only_what_differs_from_the_defaults() -> None:
    assert RunRequest("org/birds").to_link() == "dataset=org%2Fbirds"


def test_a_link_without_a_dataset_asks_for_nothing() -> None:
    assert from_link([("__theme", "dark"), ("limit", "3")]) is None


@pytest.mark.parametrize(
    "parameter",
    [
        *[("limit", "-3"), ("limit", "1e9"), ("max_images", "²"), ("max_images", "1"), ("max_parameters", "9" * 5000)],
        *[("source", "file:///etc/passwd"), ("unknown", "1"), ("permissive", "yes"), ("preset", "large")],
        *[("budget", "soon"), ("budget", ""), ("budget", "9" * 5000 + "GB"), ("budget", "1e9h")],
    ],
)
def test_what_a_link_holds_that_makes_no_sense_is_left_out(parameter: tuple[str, str]) -> None:
    assert from_link([("dataset", "org/birds"), parameter]) == RunRequest("org/birds")


@pytest.mark.parametrize(
    "dataset",
    [
        *["/etc", "~/pictures", "../secrets", ".", "lead_hub/demo", "tests", "a/b/c", "org/birds\n", "org/<b>", ""],
        *["demo:../../etc", "demo:", "http://127.0.0.1/x", "-o/x", "a" * 300, "ä" * 200, f"a/{'b' * 300}", "  "],
    ],
)
def test_on_a_shared_machine_a_dataset_is_never_a_path(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])  # where lead_hub/demo and tests are folders
    with pytest.raises(DatasetError, match="must be"):
        RunRequest(dataset).dataset_source(paths_allowed=False)


@pytest.mark.parametrize(
    "checkpoint",
    ["/etc", "lead_hub/demo", "~/x", "org/a@", "org/a@b c", "../x", "index.json\0", "a" * 300, f"org/{'é' * 200}@main"],
)
def test_on_a_shared_machine_a_checkpoint_is_never_a_path(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    request = RunRequest("org/birds", source="own", own_candidates=("org/good", checkpoint))
    with pytest.raises(CandidateError, match="must be named by its id"):
        request.candidates(paths_allowed=False)


def test_ids_pass_on_a_shared_machine() -> None:
    request = RunRequest("org/birds", source="own", own_candidates=("timm/resnet50.a1_in1k", "gpt2", "org/a@refs/pr/1"))
    assert request.dataset_source(paths_allowed=False) == "org/birds"
    assert request.candidates(paths_allowed=False) == ["timm/resnet50.a1_in1k", "gpt2", "org/a@refs/pr/1"]


def test_on_ones_own_machine_folders_are_welcome(tmp_path: Path) -> None:
    request = RunRequest(str(tmp_path), source="own", own_candidates=(str(tmp_path),))
    assert request.dataset_source(paths_allowed=True) == str(tmp_path)
    assert request.candidates(paths_allowed=True) == [str(tmp_path)]


@pytest.mark.parametrize("dataset", ["", " ", "\t\n"])
@pytest.mark.parametrize("paths_allowed", [True, False])
def test_an_empty_field_is_no_dataset(dataset: str, *, paths_allowed: bool) -> None:
    """As a path it would be the folder that the server runs in."""
    with pytest.raises(DatasetError, match=r"a dataset must be named, found none: give its id on the Hub.*demo:emoji"):
        RunRequest(dataset).dataset_source(paths_allowed=paths_allowed)


@pytest.mark.parametrize("paths_allowed", [True, False])
def test_an_empty_name_is_no_checkpoint(*, paths_allowed: bool) -> None:
    request = RunRequest("org/birds", source="own", own_candidates=("org/good", " "))
    with pytest.raises(CandidateError, match="found an empty name"):
        request.candidates(paths_allowed=paths_allowed)


def test_the_demo_needs_no_path_of_the_visitor() -> None:
    request = RunRequest("demo:scripts", source="demo")
    assert request.dataset_source(paths_allowed=False) == FOLDER / "targets" / "scripts"
    assert len(request.candidates(paths_allowed=False)) == 14


def test_an_own_list_must_name_something_and_not_everything() -> None:
    with pytest.raises(CandidateError, match="at least one checkpoint"):
        RunRequest("org/birds", source="own").candidates(paths_allowed=False)
    with pytest.raises(CandidateError, match=f"{MOST_OWN} checkpoints, found {MOST_OWN + 1}"):
        RunRequest("org/birds", source="own", own_candidates=("org/a",) * (MOST_OWN + 1))


def test_a_budget_is_left_to_the_estimate_unless_one_is_named() -> None:
    assert RunRequest("org/birds").run_budget == RunRequest("org/birds").estimated_budget == "auto"
    assert RunRequest("org/birds", budget="none").run_budget is None
    assert RunRequest("org/birds", budget="none").estimated_budget is None
    # Where there can be no race, what is left to the estimate is none.
    assert RunRequest("org/birds", score="knn").estimated_budget is None
    assert RunRequest("org/birds", score="no such score").estimated_budget is None
    assert RunRequest("org/birds", score="knn", budget="5GB").estimated_budget == "5GB"
    with pytest.raises(LeadHubError, match=r"budget must be a time such as '10min' .* found 'soon'"):
        RunRequest("org/birds", budget="soon")


def test_a_preset_is_narrowed_by_the_filters() -> None:
    def asked(**choices: object) -> list[object]:
        return [*RunRequest("org/birds", **choices).candidates(paths_allowed=False)]  # type: ignore[arg-type]

    assert asked(preset="small", limit=5) == [IndexQuery(10_000_000, limit=5)]
    assert asked(preset="small", max_parameters=30_000_000) == [IndexQuery(10_000_000)]
    assert asked(preset="small", max_parameters=1_000_000) == [IndexQuery(1_000_000)]
    assert asked(preset="best", families=("vit",)) == [IndexQuery(families=("vit",), chosen_for="best")]
    assert asked(preset="permissive") == [IndexQuery(licences=("permissive",), chosen_for="default")]
    assert asked(preset="fast", permissive=True) == [
        IndexQuery(licences=("permissive",), max_multiply_adds=1_500_000_000)
    ]
    with pytest.raises(CandidateError, match=r"a preset must be one of small, fast, best, .*found 'large'"):
        RunRequest("org/birds", preset="large")


@pytest.mark.parametrize("max_images", [3, 0, -5, MOST_IMAGES + 1])
def test_a_run_takes_neither_too_few_nor_too_many_images(max_images: int) -> None:
    with pytest.raises(DatasetError, match="from 4 to 20,000 images"):
        RunRequest("org/birds", max_images=max_images)
    assert from_link([("dataset", "org/birds"), ("max_images", str(max_images))]) == RunRequest("org/birds")
