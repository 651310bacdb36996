"""Sources of candidates -> Candidates."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lead_hub.candidates.candidate import Candidate
from lead_hub.candidates.candidate_list import read_candidates
from lead_hub.candidates.index_query import IndexQuery, query_index, said_of_index
from lead_hub.candidates.model_index import (
    IndexEntry,
    ModelIndex,
    index_families,
    read_model_index,
    shipped_model_index,
)
from lead_hub.errors import CandidateError


def checkpoint_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_ids_revisions_and_folders(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path / "mine")
    assert read_candidates(["org/a", "org/b@v1.0", "org/c@refs/pr/1", str(folder), folder]) == [
        Candidate("org/a"),
        Candidate("org/b", revision="v1.0"),
        Candidate("org/c", revision="refs/pr/1"),
        Candidate(str(folder)),
    ]


def test_one_source_alone_needs_no_list(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path / "mine")
    assert read_candidates("org/a@main") == [Candidate("org/a", revision="main")]
    assert read_candidates(folder) == [Candidate(str(folder))]
    assert read_candidates(Candidate("org/a", licence="mit")) == [Candidate("org/a", licence="mit")]


def test_a_folder_whose_name_holds_an_at_sign_is_a_folder(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path / "mine@home")
    assert read_candidates([str(folder)]) == [Candidate(str(folder))]


def test_a_folder_of_checkpoint_folders_gives_each_of_them(tmp_path: Path) -> None:
    checkpoints = [checkpoint_folder(tmp_path / "pool" / name) for name in ("b", "a")]
    (tmp_path / "pool" / "notes").mkdir()
    assert read_candidates(tmp_path / "pool") == [Candidate(str(folder)) for folder in sorted(checkpoints)]


def test_a_folder_without_a_checkpoint_is_kept_and_skipped_later(tmp_path: Path) -> None:
    assert read_candidates([tmp_path]) == [Candidate(str(tmp_path))]


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "candidates.txt"
    path.write_text("# my pool\n\norg/a@v1  # the old one\n  org/b\norg/a@v1\n", encoding="utf-8")
    assert read_candidates(path) == [Candidate("org/a", revision="v1"), Candidate("org/b")]


def test_a_text_file_that_names_a_file_says_where(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.txt", tmp_path / "outer.txt"
    inner.write_text("org/a\n")
    outer.write_text(f"org/b\n{inner}\n")
    with pytest.raises(CandidateError, match=r"outer\.txt, line 2: each line must be a Hub id"):
        read_candidates(outer)


def test_the_same_checkpoint_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint_folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert read_candidates(["mine", str(folder), folder / ".." / "mine"]) == [Candidate("mine")]
    assert len(read_candidates(["org/a", "org/a@main"])) == 2


@pytest.mark.parametrize("name", ["missing.txt", "missing.json"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(CandidateError, match="found nothing at"):
        read_candidates(str(tmp_path / name))


def test_no_candidate_at_all(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n")
    for source in ([], path):
        with pytest.raises(CandidateError, match="at least one candidate"):
            read_candidates(source)


def test_a_binary_file_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "candidates.txt"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CandidateError, match="must be readable UTF-8 text"):
        read_candidates(path)


def test_the_default_index_gives_candidates_with_what_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    facts = {"parameters": 5, "licence": "mit", "weight_bytes": 20, "imagenet_top1_percent": 80.5}
    entry = {"id": "org/a", "sha": sha, **facts, "datasets": ["org/pets"], "base_datasets": ["imagenet-1k"]}
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"schema_version": 1, "candidates": [entry, {"id": "org/b", "sha": None}]}))
    expected = [
        Candidate("org/a", revision=sha, **facts, datasets=("org/pets",), base_datasets=("imagenet-1k",)),
        Candidate("org/b"),
    ]
    assert read_candidates(path) == expected
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", str(path))
    assert read_candidates() == expected


def test_a_bad_index_is_an_error_of_candidates(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text("{")
    with pytest.raises(CandidateError, match=r"index\.json"):
        read_candidates(path)


def index_of(path: Path, *entries: dict[str, object]) -> Path:
    path.write_text(json.dumps({"schema_version": 1, "candidates": list(entries)}))
    return path


ENTRIES: list[dict[str, object]] = [
    {"id": "org/large", "family": "resnet", "parameters": 60_000_000, "licence": "MIT"},
    {"id": "org/unknown", "family": "resnet"},
    {"id": "org/vit", "family": "dinov2", "model_type": "vit", "parameters": 50_000_000, "licence": "apache-2.0"},
    {"id": "org/strange", "parameters": 10, "licence": "cc-by-nc-4.0"},
    {"id": "org/both", "family": "resnet", "parameters": 20, "licence": "mit, cc-by-nc-4.0"},
    {"id": "org/small", "family": "resnet", "parameters": 30, "licence": "bsd-3-clause"},
]
CURATED: list[dict[str, object]] = [
    {"id": "org/slow", "multiply_adds": 1_500_000_001, "pretraining_kind": "supervised", "chosen_for": ["best"]},
    {"id": "org/unknown", "chosen_for": ["default"]},
    {"id": "org/fast", "multiply_adds": 1_500_000_000, "parameters": 10_000_001, "pretraining_kind": "image-text"},
    {"id": "org/dino", "parameters": 10_000_000, "pretraining_kind": "self-supervised", "chosen_for": ["default"]},
    {
        **{"id": "org/tuned", "licence": "cc-by-4.0", "chosen_for": ["best", "default"]},
        "pretraining_kind": "self-supervised, then supervised",
    },
]


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({}, ["large", "unknown", "vit", "strange", "both", "small"]),
        ({"limit": 2}, ["large", "unknown"]),
        ({"max_parameters": 50_000_000}, ["vit", "strange", "both", "small"]),
        ({"licences": ("permissive",)}, ["large", "vit", "small"]),
        ({"licences": ("permissive", "CC-BY-NC-4.0")}, ["large", "vit", "strange", "both", "small"]),
        ({"licences": ("mit",)}, ["large"]),
        ({"families": ("ResNet",)}, ["large", "unknown", "both", "small"]),
        ({"families": ("vit",)}, ["vit"]),
        ({"families": ("resnet", "dinov2"), "max_parameters": 50_000_000, "limit": 2}, ["vit", "both"]),
    ],
)
def test_a_part_of_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: dict[str, Any], kept: list[str]
) -> None:
    path = index_of(tmp_path / "index.json", *ENTRIES)
    names = [f"org/{name}" for name in kept]
    assert [candidate.checkpoint for candidate in read_candidates(IndexQuery(index=path, **bounds))] == names
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", str(path))
    found = read_candidates(["org/mine", IndexQuery(**bounds)])
    assert [candidate.checkpoint for candidate in found] == ["org/mine", *names]
    # What the index knows of a checkpoint comes along.
    assert [candidate.licence for candidate in found[1:]] == [
        entry.get("licence") for entry in ENTRIES if entry["id"] in names
    ]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (IndexQuery(max_multiply_adds=1_500_000_000), ["fast"]),
        (IndexQuery(pretraining_kinds=("supervised", "self-supervised")), ["slow", "dino"]),
        (IndexQuery(chosen_for="default"), ["unknown", "dino", "tuned"]),
        (IndexQuery(chosen_for="best", limit=1), ["slow"]),
        (IndexQuery.preset("small"), ["dino"]),
        (IndexQuery.preset("fast"), ["fast"]),
        (IndexQuery.preset("best"), ["slow", "tuned"]),
        (IndexQuery.preset("self-supervised"), ["dino"]),
        (IndexQuery.preset("permissive"), ["tuned"]),
        (replace(IndexQuery.preset("best"), licences=("permissive",)), ["tuned"]),
    ],
)
def test_what_curators_chose_and_presets(tmp_path: Path, query: IndexQuery, kept: list[str]) -> None:
    path = index_of(tmp_path / "index.json", *CURATED)
    found = read_candidates(replace(query, index=path))
    assert [candidate.checkpoint for candidate in found] == [f"org/{name}" for name in kept]


def test_without_a_source_what_was_chosen_by_default_is_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody chose anything, all is ranked; and all of it where the file is named."""
    path = index_of(tmp_path / "index.json", *CURATED)
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", str(path))
    assert [candidate.checkpoint for candidate in read_candidates()] == ["org/unknown", "org/dino", "org/tuned"]
    assert len(read_candidates(path)) == len(read_candidates(IndexQuery())) == 5
    index_of(path, *CURATED[:1], *CURATED[2:3])
    assert [candidate.checkpoint for candidate in read_candidates()] == ["org/slow", "org/fast"]


def test_what_is_left_out_of_an_index_is_counted(tmp_path: Path) -> None:
    path = index_of(tmp_path / "index.json", *ENTRIES)
    found = query_index(IndexQuery(max_parameters=50_000_000, licences=("permissive",), limit=1, index=path))
    assert [entry.id for entry in found.candidates] == ["org/vit"]
    # Of those that are small enough two have no permissive licence, one of them a second one beside it.
    assert found.n_left_out == {"licence not allowed": 2, "too large": 1, "size unknown": 1, "beyond the limit": 1}
    assert said_of_index(found) == (
        "1 of the 6 checkpoints of the model index; left out: 2 licence not allowed, 1 too large, 1 size unknown,"
        " 1 beyond the limit"
    )
    assert said_of_index(query_index(IndexQuery(index=path))) == ""


def test_nothing_left_of_an_index_says_for_what(tmp_path: Path) -> None:
    path = index_of(tmp_path / "index.json", *ENTRIES)
    query = IndexQuery(max_parameters=25, licences=("permissive",), families=("resnet",), index=str(path))
    words = r"found none of 6 \(2 too large, 2 family not asked for, 1 size unknown, 1 licence not allowed\)"
    with pytest.raises(CandidateError, match=words):
        read_candidates(query)
    with pytest.raises(CandidateError, match=r"found none of 0 \(it is empty\)"):
        read_candidates(IndexQuery(index=index_of(tmp_path / "empty.json")))
    with pytest.raises(CandidateError, match=r"nothing\.json"):
        read_candidates(IndexQuery(index=tmp_path / "nothing.json"))


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"max_parameters": 0}, "max_parameters must be 1 or more"),
        ({"limit": 0}, "limit must be 1 or more"),
        ({"licences": ()}, "licences must name at least one"),
        ({"families": ["vit"]}, "families must be a tuple"),
        ({"max_multiply_adds": 0}, "max_multiply_adds must be 1 or more"),
        ({"pretraining_kinds": ("dino",)}, "pretraining_kinds must be among supervised, .* found 'dino'"),
        ({"chosen_for": "speed"}, "chosen_for must be one of default, best, or None, found 'speed'"),
    ],
)
def test_bounds_that_cannot_be_asked_for(bounds: dict[str, Any], words: str) -> None:
    with pytest.raises(CandidateError, match=words):
        IndexQuery(**bounds)


def test_a_preset_that_there_is_not() -> None:
    words = "a preset must be one of small, fast, best, self-supervised, permissive, all, found 'cheap'"
    with pytest.raises(CandidateError, match=words):
        IndexQuery.preset("cheap")


def test_the_index_that_comes_along_has_small_checkpoints_of_several_families() -> None:
    families = index_families(read_model_index(shipped_model_index()))
    assert {"resnet", "vit", "convnext", "dinov2", "swin"} < set(families)
    found = read_candidates(IndexQuery(max_parameters=30_000_000, families=families[:1], index=shipped_model_index()))
    assert found
    assert all(candidate.parameters and candidate.parameters <= 30_000_000 for candidate in found)


def test_families_of_an_index_the_largest_first() -> None:
    families = ["vit", "swin", None, "beit", "vit", "beit", "vit"]
    entries = [IndexEntry(f"org/{number}", family=family) for number, family in enumerate(families)]
    assert index_families(ModelIndex(tuple(entries))) == ("vit", "beit", "swin")
