"""Sources of candidates -> Candidates."""

import json
from pathlib import Path

import pytest

from lead_hub.candidates import Candidate, read_candidates
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
