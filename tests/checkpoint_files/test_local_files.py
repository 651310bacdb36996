"""Where a candidate's files are, its identity and its licence."""

from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.local_files import find_checkpoint, has_weights
from lead_hub.errors import CandidateError

ACCESS = Access(Path("unused"))


def write_checkpoint(folder: Path, *, weights: bytes = b"weights", card: str | None = None) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def test_a_local_folder_is_used_where_it_is(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine", card="---\nlicense: mit\n---\n# Mine\n")
    files = find_checkpoint(Candidate(str(folder)), ACCESS)
    assert files.folder == folder
    assert files.licence == "mit"
    assert len(files.sha) == 64


def test_copies_share_an_identity_and_a_changed_byte_ends_it(tmp_path: Path) -> None:
    original = find_checkpoint(Candidate(str(write_checkpoint(tmp_path / "a"))), ACCESS)
    copy = find_checkpoint(Candidate(str(write_checkpoint(tmp_path / "b", card="# Another card"))), ACCESS)
    changed = find_checkpoint(Candidate(str(write_checkpoint(tmp_path / "c", weights=b"weighty"))), ACCESS)
    assert original.sha == copy.sha
    assert original.sha != changed.sha


@pytest.mark.parametrize("card", [None, "# No front matter", "---\nlicense: [\n---\n", "---\nlicense: [mit]\n---\n"])
def test_a_card_that_names_no_licence(tmp_path: Path, card: str | None) -> None:
    folder = write_checkpoint(tmp_path / "mine", card=card)
    assert find_checkpoint(Candidate(str(folder)), ACCESS).licence is None


def test_a_known_licence_wins_over_the_card(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine", card="---\nlicense: mit\n---\n")
    assert find_checkpoint(Candidate(str(folder), licence="apache-2.0"), ACCESS).licence == "apache-2.0"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("candidate", "stage", "message"),
    [
        (Candidate("a/b/c/no such folder"), "find", "existing checkpoint folder or a Hub id such as 'org/name'"),
        (Candidate("org/never-downloaded"), "download", "has no such model for you: .*if it is private log in"),
    ],
)
def test_what_cannot_be_found_says_so(candidate: Candidate, stage: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CandidateError, match=message) as caught:
        find_checkpoint(candidate, Access(tmp_path))
    assert caught.value.stage == stage


def test_a_local_folder_has_no_revisions(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    with pytest.raises(CandidateError, match="only a Hub repository has revisions") as caught:
        find_checkpoint(Candidate(str(folder), revision="v2"), ACCESS)
    assert caught.value.stage == "find"


def test_an_index_of_shards_that_is_no_text_names_none(tmp_path: Path) -> None:
    """A file by a stranger, which a budget of downloads looks at before anything is loaded."""
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(b'{"weight_map": {"a\xff": "model-00001-of-00001.safetensors"}}')
    assert not has_weights(tmp_path, allow_pickle=False)
    (tmp_path / "model-00001-of-00001.safetensors").write_bytes(b"")
    assert has_weights(tmp_path, allow_pickle=False)
