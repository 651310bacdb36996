"""A run as Jobs on the Hub: what is asked of it, what a Job then does, and what is said where one fails."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lead_hub import LeadHubError, Recommendation, recommend
from lead_hub.access import access_of
from lead_hub.candidates import Candidate
from lead_hub.recommendation import JobsRequest, price_per_hour, run_on_jobs
from lead_hub.recommendation.hub_jobs import shares
from lead_hub.recommendation.job_commands import CarriedCode, arguments_of, job_script, requirements
from lead_hub.recommendation.job_results import JobShare, collected, note_results
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.recommendation.job_machine import Machine
from tests.score_cards.boards import FAIR, FLOWERS, GOOD, board_of

ROOT = Path(__file__).parents[2]
CODE = CarriedCode("alice/lead-scores", "code/lead_hub-0123.zip", "a" * 40, "b" * 64)


def sized(**millions: int) -> list[Candidate]:
    return [Candidate(f"org/{name}", parameters=size * 10**6) for name, size in millions.items()]


@pytest.mark.parametrize(
    ("n_jobs", "expected"),
    [(1, [["c", "a", "b", "d"]]), (2, [["c", "b"], ["a", "d"]]), (9, [["c"], ["a"], ["b"], ["d"]])],
)
def test_shares_of_about_the_same_length(n_jobs: int, expected: list[list[str]]) -> None:
    found = shares(sized(a=30, b=20, c=90, d=10), n_jobs)
    assert [[one.checkpoint.removeprefix("org/") for one in part] for part in found] == expected


def test_a_job_runs_the_same_command_on_its_share() -> None:
    run = Recommendation("org/colours", score=["lead", "knn"], revision="c" * 40, max_images=30, token="hf_secret")
    assert arguments_of(run) == [
        *("--max-images", "30", "--revision", "c" * 40, "--score", "lead", "--score", "knn", "--budget", "none"),
    ]
    share = [Candidate("org/a", revision="v1"), Candidate("org/b; rm -rf /")]
    script = job_script(run, share, CODE, results_path="runs/0123-1.json")
    assert "hf_secret" not in script
    lines = script.splitlines()
    assert lines[0] == "set -eu"
    assert lines[1] == f"pip install --quiet --no-cache-dir {' '.join(requirements())}"
    # Each Job would measure its own machine, and all their scores stand on one board.
    assert "export LEAD_HUB_MEASURE_MACHINE=0" in lines
    ranking = next(line for line in lines if "recommend" in line)
    assert ranking == (
        "python -m lead_hub recommend org/colours --candidates org/a@v1 --candidates 'org/b; rm -rf /' --max-images 30"
        f" --revision {'c' * 40} --score lead --score knn --budget none --quiet --output board.json > board.txt"
        " || test -s board.json"
    )
    after = script.partition(ranking)[2].strip()
    assert after == (
        "python -m lead_hub push board.json --to alice/lead-scores --quiet\n"
        "python -c 'from lead_hub.recommendation import note_results\n"
        "note_results(\"board.json\", '\"'\"'alice/lead-scores'\"'\"', '\"'\"'runs/0123-1.json'\"'\"')\n'"
    )


def test_what_is_installed_has_a_version_that_everybody_can_install() -> None:
    found = dict(requirement.split("==") for requirement in requirements())
    assert {"torch", "timm", "transformers", "huggingface_hub"} <= set(found)
    assert not any("+" in version for version in found.values())
    assert "pytest" not in found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dataset": str(ROOT)}, "a Job reads its dataset from the Hub"),
        ({"budget": "20%"}, "Jobs do not race"),
        ({"device": "cpu"}, "a Job has the device of its flavour, found 'cpu'"),
        ({"token": False}, "a Job runs under a login of the Hub, found none"),
    ],
)
def test_what_cannot_be_done_elsewhere_is_refused(changed: dict[str, object], said: str) -> None:
    run = Recommendation(**{"dataset": "org/colours", "token": "hf_some", **changed})
    with pytest.raises(LeadHubError, match=said):
        run_on_jobs(run, sized(a=1), JobsRequest("l4x1"), tell=print)


def test_local_checkpoints_are_refused(tiny_pool: Path) -> None:
    run = Recommendation("org/colours", token="hf_some")
    with pytest.raises(LeadHubError, match="a Job reads its checkpoints from the Hub"):
        run_on_jobs(run, [Candidate(str(tiny_pool / "vit"))], JobsRequest("l4x1"), tell=print)
    with pytest.raises(LeadHubError, match="the number of Jobs must be at least 1, found 0"):
        JobsRequest("l4x1", 0)
    with pytest.raises(LeadHubError, match="Jobs write to a dataset repository named 'user/name', found 'lead-scores'"):
        JobsRequest("l4x1", repo_id="lead-scores")


def test_the_price_where_the_hub_tells_it(hub: HubServer) -> None:
    access = access_of(token=hub.add_user("alice"))
    assert price_per_hour("l4x1", access) == pytest.approx(0.8, abs=1e-4)  # 0.013333 a minute
    assert price_per_hour("of another make", access) is None
    hub.add_fault(Fault("status", match="/api/jobs/hardware", status=404))
    assert price_per_hour("l4x1", access) is None


def test_a_refused_job_ends_those_that_were_started(hub: HubServer, colour_folder: Path) -> None:
    token = hub.add_user("alice")
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)
    run = Recommendation("org/colours", token=token)
    said: list[str] = []

    def tell(words: str) -> None:
        said.append(words)
        hub.add_fault(Fault("status", match="/api/jobs/alice", method="POST", status=402))

    with pytest.raises(LeadHubError, match=r"cannot run Jobs: .*402"):
        run_on_jobs(run, sized(a=1, b=1), JobsRequest("l4x1", 2), tell=tell)
    assert [job.stage for job in hub.jobs.values()] == ["CANCELED"]
    assert len(said) == 1


def test_jobs_that_all_fail_are_an_error_with_their_reasons(hub: HubServer, colour_folder: Path) -> None:
    token = hub.add_user("alice")
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)

    def tell(words: str) -> None:
        for job in hub.jobs.values():
            job.stage, job.message = "ERROR", "Job timeout"

    with pytest.raises(LeadHubError, match=r"none did: .*it is error \(Job timeout\): see http.*/jobs/alice/job1"):
        run_on_jobs(Recommendation("org/colours", token=token), sized(a=1), JobsRequest("l4x1"), tell=tell)


@pytest.fixture
def run(hub: HubServer, colour_folder: Path) -> Recommendation:
    """Of alice's, on a dataset that everybody may read."""
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)
    return Recommendation("org/colours", token=hub.add_user("alice"))


def test_a_repository_that_all_can_see_is_refused_before_it_costs(hub: HubServer, run: Recommendation) -> None:
    hub.add_repo("alice/open", kind="dataset")
    hub.add_repo("alice/own", kind="dataset", private=True)
    hub.add_repo("alice/hidden", private=True)
    hub.add_repo("org/gated", gated="auto")
    hub.add_repo("org/seen")
    request = JobsRequest("l4x1", repo_id="alice/open")
    for names in (["org/seen", "org/gated"], ["alice/hidden"]):
        with pytest.raises(LeadHubError, match=f"alice/open is public, and {names[-1]} is not: name another one"):
            run_on_jobs(run, [Candidate(name) for name in names], request, tell=print)
    hub.add_repo("alice/colours", kind="dataset", private=True)
    with pytest.raises(LeadHubError, match="alice/open is public, and alice/colours is not"):
        run_on_jobs(replace(run, dataset="alice/colours"), [Candidate("org/seen")], request, tell=print)
    assert hub.jobs == {}
    assert not [path for path in hub.repo("alice/open", kind="dataset").files_at() if path.startswith("code")]


def test_the_answer_to_a_start_that_is_lost_is_looked_for(hub: HubServer, run: Recommendation) -> None:
    hub.add_fault(Fault("lost_reply", match="/api/jobs/alice", method="POST"))
    said: list[str] = []

    def tell(words: str) -> None:
        said.append(words)
        for job in hub.jobs.values():
            job.stage, job.message = "ERROR", "out of memory"

    with pytest.raises(LeadHubError, match="none did: its Job must come to its end, it is error"):
        run_on_jobs(run, sized(a=1), JobsRequest("l4x1"), tell=tell, asked_every_s=0.05)
    assert len(hub.jobs) == 1
    assert re.match(r"the Hub's answer was lost, but the Job lead-hub-[0-9a-f]{12}-1-of-1 is there", said[0])


def test_a_start_that_nobody_answers_ends_the_others(
    hub: HubServer, run: Recommendation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)

    def tell(words: str) -> None:
        hub.add_fault(Fault("cut", match="/api/jobs/alice", method="POST"))

    with pytest.raises(LeadHubError, match=r"the Hub must start a Job, and did not: .*; try again"):
        run_on_jobs(run, sized(a=1, b=1), JobsRequest("l4x1", 2), tell=tell)
    assert [job.stage for job in hub.jobs.values()] == ["CANCELED"]


def test_jobs_go_on_while_the_hub_does_not_answer(
    hub: HubServer, run: Recommendation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)
    said: list[str] = []

    def tell(words: str) -> None:
        said.append(words)
        if words.startswith("Job 1 of 1 on"):
            hub.add_fault(Fault("cut", match="/api/jobs/alice/job1", method="GET", times=None))
        if "the Jobs go on" in words and hub.jobs["job1"].stage != "ERROR":
            hub.faults.clear()
            hub.jobs["job1"].stage = "ERROR"

    with pytest.raises(LeadHubError, match="none did: its Job must come to its end, it is error"):
        run_on_jobs(run, sized(a=1), JobsRequest("l4x1"), tell=tell, asked_every_s=0.05)
    assert [words for words in said if "how they are cannot be asked for now" in words]
    assert not [request for request in hub.requests if request.path.endswith("/cancel")]


def test_jobs_that_cannot_be_ended_are_told(
    hub: HubServer, run: Recommendation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else went wrong: they cost money."""
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)
    hub.add_fault(Fault("cut", match="/cancel", times=None))
    n_told = 0

    def tell(words: str) -> None:
        nonlocal n_told
        n_told += 1
        if n_told == 2:
            raise KeyboardInterrupt

    addresses = f"{hub.endpoint}/jobs/alice/job1, {hub.endpoint}/jobs/alice/job2"
    with pytest.raises(LeadHubError, match=f"KeyboardInterrupt; {addresses} may still run, and cost money: end them"):
        run_on_jobs(run, sized(a=1, b=1), JobsRequest("l4x1", 2), tell=tell)


def test_the_board_is_of_the_jobs_own_scores_whatever_was_pushed_since(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = hub.add_user("alice")
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    own = board_of(GOOD, FAIR)
    fewer = replace(FLOWERS, rows_sha256="c" * 64, n_images=50, split="validation")
    others = board_of(replace(GOOD, score=-9.0), replace(FAIR, score=-8.0), dataset=fewer)
    older = board_of(replace(GOOD, sha="9" * 40, score=-0.1))
    for board in (own, others, older, own):
        board.push_to_hub("alice/lead-scores", token=token)
    others.push_to_hub("alice/lead-scores", token=token)
    note_results(own.save(tmp_path / "board.json"), "alice/lead-scores", "runs/x-1.json")
    done, failed = (
        SimpleNamespace(status=SimpleNamespace(stage=stage, message="boom"), url=f"https://hub/{stage}")
        for stage in ("COMPLETED", "ERROR")
    )
    run = Recommendation("org/flowers", revision="a" * 40, token=token)
    good, fair, poor = (Candidate(f"org/{name}") for name in ("good", "fair", "poor"))
    shares = [JobShare(done, [good, poor], "runs/x-1.json"), JobShare(failed, [fair], "runs/x-2.json")]  # type: ignore[arg-type]
    board = collected(run, shares, "alice/lead-scores")
    assert (board.dataset.split, board.dataset.n_images) == ("train", FLOWERS.n_images)
    # The other commit of good is older, and the row of fair is not of the Job that failed.
    assert [(row.checkpoint, row.sha, row.score) for row in board.rows] == [("org/good", GOOD.sha, GOOD.score)]
    assert {skip.checkpoint: skip.reason.partition(":")[0] for skip in board.skipped} == {
        "org/poor": "its Job gave no score for it, and its log says why",
        "org/fair": "its Job must come to its end, it is error (boom)",
    }
    with pytest.raises(LeadHubError, match="a Job must say in alice/lead-scores which scores are its own, and none"):
        collected(run, [JobShare(done, [good], "runs/y-1.json")], "alice/lead-scores")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_board_of_two_jobs_of_which_one_fails(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    token = hub.add_user("alice")
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)
    sha = hub.add_repo("org/vit", folder=tiny_pool / "vit")
    hub.add_repo("org/resnet", folder=tiny_pool / "resnet")
    machine, said = Machine(hub, tmp_path), []
    machine.start()
    # As the command line asks, unless told otherwise: here, and in each Job, that is the full run.
    run = Recommendation("org/colours", score=["lead", "knn"], max_images=30, token=token, budget="auto")
    candidates = [Candidate("org/vit"), Candidate("org/resnet")]
    board = run_on_jobs(run, candidates, JobsRequest("l4x1", 2), tell=said.append, asked_every_s=0.2)
    machine.join()
    assert '"changed": true' in machine.output
    assert token not in machine.output

    first = hub.jobs["job1"]
    assert first.secrets == {"HF_TOKEN": token}
    assert (first.spec["flavor"], first.spec["timeoutSeconds"]) == ("l4x1", 12 * 3600)
    assert re.fullmatch(r"lead-hub-[0-9a-f]{12}-1-of-2", first.spec["labels"]["name"])
    assert first.spec["dockerImage"] == f"python:{sys.version_info.major}.{sys.version_info.minor}"
    assert token not in str(first.spec) + str(said) + str(board)

    expected = recommend("org/colours", ["org/vit"], ["lead", "knn"], max_images=30, token=token, progress=False)
    (row,) = board.rows
    assert (row.checkpoint, row.sha, row.rank) == ("org/vit", sha, 1)
    assert row.score == pytest.approx(expected.rows[0].score, abs=1e-9)
    (skipped,) = board.skipped
    assert (skipped.checkpoint, skipped.stage) == ("org/resnet", "extract")
    assert skipped.reason.startswith("its Job must come to its end, it is error (Job failed with exit code: 137): see ")
    assert board.is_complete
    assert "budget" not in board.settings
    assert hub.repo("alice/lead-scores", kind="dataset").private
    assert said[0] == f"Job 1 of 2 on l4x1, 1 checkpoints: {hub.endpoint}/jobs/alice/job1"
    assert "Job 1 of 2: completed" in said
