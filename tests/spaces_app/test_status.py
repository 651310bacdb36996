"""What the page says before, during and after a run."""

from dataclasses import replace

import pytest

from lead_hub.errors import DatasetError, LeadHubError
from lead_hub.hub import LOGIN_ADVICE
from lead_hub.labelled_images import describe_dataset
from lead_hub.recommendation import RunEstimate, RunProgress
from spaces_app.runs import RunState, share_done
from spaces_app.status import estimate_html, running_text, state_html, told
from spaces_app.visitors import Deployment
from tests.leaderboard.made_boards import FAIR, GOOD, board_of
from tests.loopback_hub import HubServer

OWN, SHARED = Deployment(), Deployment(is_shared=True, has_sign_in=True)


def extracting(number: int, n_images: int) -> RunProgress:
    return RunProgress(
        "extract", "org/a", number, 4, n_images=n_images, total_images=100, images_per_s=12.4, device="cpu"
    )


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        (None, 0.0),
        (RunProgress("dataset", n_candidates=4), 0.0),
        (extracting(1, 50), 0.125),  # half of the first of four
        (extracting(3, 0), 0.5),
        (RunProgress("score", "org/a", 4, 4, n_images=0, total_images=100), 1.0),  # images came from the cache
    ],
)
def test_how_much_is_done(progress: RunProgress | None, share: float) -> None:
    assert share_done(RunState("running", progress=progress)) == share


def test_a_moment_in_words() -> None:
    state = RunState("running", progress=extracting(2, 50), ranking_s=30.0)
    # 1.5 of 4 are done in 30 s, so 2.5 take 50 s
    assert (
        running_text(state) == "Checkpoint 2 of 4: running the images through, a, 12 images/s on cpu, about 50 s left"
    )


def test_a_moment_of_a_race_in_words() -> None:
    board = replace(board_of(GOOD), settings={"budget": "15min"})
    words = running_text(RunState("running", board=board, progress=extracting(2, 50)))
    assert words.startswith("Race within 15min. Checkpoint 2 of 4: running the images through, a")


def test_a_race_that_ends_with_its_budget_says_who_is_missing() -> None:
    board = replace(board_of(GOOD, FAIR, n_candidates=61), settings={"budget": "15min"})
    words = "Finished: 2 checkpoints ranked. The budget of 15min was over before the turn of 59 more; a larger one"
    assert words in state_html(RunState("finished", board=board), OWN)
    whole = replace(board, n_candidates=2)
    assert "Finished: 2 checkpoints ranked. Choose" in state_html(RunState("finished", board=whole), OWN)


def test_what_a_run_takes() -> None:
    assert "10 checkpoints on up to 500 images: 1.50 GB and 2 of unknown size to download at most, roughly 3 min" in (
        estimate_html(RunEstimate(10, 500, 1_500_000_000, 2, 170.0))
    )
    assert "1 checkpoint on up to 12 images: nothing to download." in estimate_html(RunEstimate(1, 12, 0, 0, None))
    race = RunEstimate(61, 2000, 0, 0, 900.0, 7200.0, budget="15min")
    assert "nothing to download, ready in about 15 min; the full run 2 h." in estimate_html(race)


def test_every_end_says_what_to_do_next() -> None:
    board = board_of(GOOD, FAIR)
    assert "push the score cards" in state_html(RunState("finished", board=board), OWN)
    assert "goes on from here" in state_html(RunState("cancelled", board=board), OWN)
    assert "Try other candidates" in state_html(RunState("finished", board=board_of()), OWN)
    failed = state_html(RunState("failed", board=board, error=DatasetError("no <b>split</b>")), OWN)
    assert "no &lt;b&gt;split&lt;/b&gt;" in failed
    assert "What was ranked so far, 2 checkpoints, stays below" in failed
    assert "press Rank checkpoints again" in failed


def test_strangers_are_not_told_of_terminals_and_paths(hub: HubServer) -> None:
    with pytest.raises(LeadHubError) as caught:
        describe_dataset("org/<b>", token=False)
    assert "path" in told(caught.value, OWN)
    with pytest.raises(LeadHubError) as caught:
        describe_dataset("nobody/nothing", token=False)
    assert "there is no path nobody/nothing here" in told(caught.value, OWN)
    words = f"{hub.endpoint} has no such dataset for you: check the spelling of nobody/nothing, and if it is private"
    assert told(caught.value, SHARED).startswith(f"{words} sign in at the top of the page")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the files of /tmp/lead-hub-upload-x1/data cannot be read", "the files of …/data cannot be read"),
        ("found 'a' in '/home/me/.cache/x y/1.png': again", "found 'a' in '…/1.png': again"),
        ("PosixPath('/app/lead_hub/model_index.json')", "PosixPath('…/model_index.json')"),
        ("see file:///srv/data/a.png, ~/models/mine and /data/", "see file://…/a.png, …/mine and /data/"),
        (
            "/root/.cache/huggingface/hub/models--org--re-s--net/snapshots/0123abcd holds no weights",
            "org/re-s/net holds no weights",
        ),
        (
            "in /x/hub/models--org--net/snapshots/0123abcd/config.json it is not",
            "in org/net/config.json it is not",
        ),
        ("org/net@v1, train/cat and https://hub.example/org/net stay", None),
        ("http://127.0.0.1:9/api/models and 1/2 of a/b/c stay, as 5 GB/s", None),
    ],
)
def test_strangers_are_told_no_paths(text: str, words: str | None) -> None:
    assert told(text, SHARED) == (words or text)
    assert told(text, SHARED, to_program=True) == (words or text)
    assert told(text, OWN) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2 GB free; lower max_images, or name another folder (cache_dir, or TMPDIR)", "2 GB free; lower max_images"),
        ("widen them, or make another index with `lead-hub crawl`", "widen them"),
        ("name another one, make it private, or allow it", None),
    ],
)
def test_strangers_are_not_advised_what_only_the_servers_user_can_do(text: str, words: str | None) -> None:
    assert told(text, SHARED) == (words or text)
    assert told(text, OWN) == text


def test_the_advice_to_log_in_is_one_that_can_be_followed() -> None:
    text = f"org/net is gated: accept its terms, then {LOGIN_ADVICE}"
    assert told(text, SHARED).endswith("then sign in at the top of the page")
    assert told(text, SHARED, to_program=True).startswith("org/net is gated: accept its terms, then pass a token")
    assert "on a machine of yours" in told(text, Deployment(is_shared=True))
    assert told(text, OWN) == text
