"""token=False: nobody's requests, even on a machine that is logged in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from lead_hub import CandidateQuery, DatasetError, HubError, Leaderboard, recommend
from lead_hub.labelled_images import describe_dataset
from tests.conftest import COLOURS, coloured_images
from tests.loopback_hub import HubServer


@pytest.fixture(params=["variable", "file"])
def logged_in(hub: HubServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which alice is logged in, one way or the other."""
    token = hub.add_user("alice")
    place = Path(constants.HF_TOKEN_PATH)
    if request.param == "variable":
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        place.write_text(token)
    yield
    place.unlink(missing_ok=True)


def users(hub: HubServer) -> set[str | None]:
    asked = {request.user for request in hub.requests if not request.path.startswith("/_cdn/")}
    hub.requests.clear()
    return asked


@pytest.mark.slow
@pytest.mark.usefixtures("logged_in")
def test_a_private_dataset_is_not_there_for_nobody(hub: HubServer, tiny_pool: Path, tmp_path: Path) -> None:
    colours = coloured_images(tmp_path / "colours", classes=COLOURS, n_images=4)
    hub.add_repo("alice/colours", kind="dataset", folder=colours, private=True)
    with pytest.raises(DatasetError, match="no such dataset for you"):
        recommend("alice/colours", tiny_pool / "vit", token=False, cache_dir=tmp_path / "nobody", progress=False)
    with pytest.raises(DatasetError, match="no such dataset for you"):
        describe_dataset("alice/colours", token=False)
    assert users(hub) == {None}
    board = recommend("alice/colours", tiny_pool / "vit", cache_dir=tmp_path / "alice", progress=False)
    assert len(board.rows) == 1
    assert users(hub) == {"alice"}
    # Nor is it there now that this machine has a copy.
    with pytest.raises(DatasetError, match="no such dataset for you"):
        recommend("alice/colours", tiny_pool / "vit", token=False, cache_dir=tmp_path / "alice", progress=False)
    assert users(hub) == {None}


@pytest.mark.slow
@pytest.mark.usefixtures("logged_in")
def test_everything_that_a_run_asks_for_is_asked_as_nobody(hub: HubServer, tiny_pool: Path, tmp_path: Path) -> None:
    colours = coloured_images(tmp_path / "colours", classes=COLOURS, n_images=4)
    hub.add_repo("org/colours", kind="dataset", folder=colours)
    card = b"---\nlibrary_name: transformers\npipeline_tag: image-classification\nlicense: mit\n---\n"
    hub.add_repo("org/vit", folder=tiny_pool / "vit")
    hub.commit("org/vit", files={"README.md": card})
    hub.add_repo("alice/vit", folder=tiny_pool / "vit", private=True)
    describe_dataset("org/colours", token=False, cache_dir=tmp_path / "described")
    found = CandidateQuery(licences=("permissive",))
    board = recommend("org/colours", [found, "alice/vit"], token=False, cache_dir=tmp_path / "run", progress=False)
    assert [row.checkpoint for row in board.rows] == ["org/vit"]
    assert [skip.checkpoint for skip in board.skipped] == ["alice/vit"]
    with pytest.raises(HubError):
        recommend("org/colours", found, token=False, reuse_cards="alice/cards", cache_dir=tmp_path, progress=False)
    with pytest.raises(HubError):
        Leaderboard.from_hub("alice/cards", dataset="org/colours", token=False)
    with pytest.raises(HubError):
        board.push_to_hub("alice/cards", token=False)
    assert len(hub.requests) > 20
    assert users(hub) == {None}
