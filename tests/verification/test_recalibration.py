"""calibrate(): outcomes of score cards on the test Hub and of this machine, and what `recommend` then expects."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lead_hub import HubError, Leaderboard, calibrate, recommend, verify
from lead_hub.access import Access
from lead_hub.cli import app
from lead_hub.confidence import Confidence, shipped_calibration
from lead_hub.confidence.calibration import parse_calibrations
from lead_hub.hub import write_text_whole
from lead_hub.leaderboard import FineTunedAccuracy, RankedCheckpoint
from lead_hub.recommendation.judging import calibration_of
from lead_hub.recommendation.standing_elsewhere import kept_standings
from lead_hub.transferability import SCORES
from lead_hub.transferability.lead_prior import SPREAD
from lead_hub.verification import forget_calibration
from lead_hub.verification.outcome_files import keep_outcome, kept_outcomes
from tests.loopback_hub import HubServer
from tests.score_cards.boards import FLOWERS, GOOD, board_of

MEASURED = FineTunedAccuracy("full", 0.7, 0.01, 0.7, 1e-4, 3, 6, 0, 80, 20, 100, "split 'test'", 60.0, "cpu")


def verified_board(number: int, *, accuracy: float, mode: str = "full", n_rows: int = 3) -> Leaderboard:
    """A dataset of its own, on whose checkpoints a linear probe is right in 60% of the images."""
    confidence = Confidence(score_low=-1.0, score_high=-0.1, probe_accuracy=0.6, probe_low=0.5, probe_high=0.7)
    dataset = replace(FLOWERS, dataset=f"org/flowers{number}", sha=f"{number:040x}")
    rows: list[RankedCheckpoint] = [
        replace(
            GOOD,
            checkpoint=f"org/net{place}",
            sha=f"{place + 1:040x}",
            score=-0.1 * (place + 1),
            confidence=confidence,
            finetuned=replace(MEASURED, accuracy=accuracy, mode=mode),
        )
        for place in range(n_rows)
    ]
    board = board_of(*rows, dataset=dataset)
    return replace(board, method_version=shipped_calibration().method_version)


@pytest.mark.slow
def test_cards_of_others_teach_what_to_expect(
    hub: HubServer, split_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    token = hub.add_user("alice")
    for number in range(4):
        verified_board(number, accuracy=0.72).push_to_hub("alice/cards", token=token)
    before = recommend(split_folder, tiny_pool, cache_dir=tmp_path, max_images=30, progress=False)
    dry = calibrate("alice/cards", dry_run=True, cache_dir=tmp_path, token=token)
    assert dry.path is None
    found = calibrate("alice/cards", cache_dir=tmp_path, token=token)
    assert found.calibration == dry.calibration
    (source,) = found.sources
    # 60% of 120 images of 3 classes are right when left out, half an image added to each side.
    shipped = shipped_calibration()
    logits = shipped.intercept + shipped.slope * math.log(72.5 / 48.5) + shipped.classes_slope * math.log(3)
    expected = 1 / (1 + math.exp(-logits))
    assert (source.name, source.n_outcomes, source.n_datasets, source.is_used) == ("alice/cards", 12, 4, True)
    assert source.median_error_points == pytest.approx(100 * (0.72 - expected), abs=0.05)
    assert found.path == tmp_path / "calibration" / "lead.json"
    assert found.path.stat().st_mode & 0o777 == 0o600
    after = recommend(split_folder, tiny_pool, cache_dir=tmp_path, max_images=30, progress=False)
    assert [row.score for row in after.rows] == [row.score for row in before.rows]
    for old, new in zip(before.rows, after.rows, strict=True):
        assert old.confidence is not None
        assert new.confidence is not None
        assert new.confidence.predicted_accuracy > old.confidence.predicted_accuracy
        assert "12 outcomes on 4 further datasets from 1 repositories of score cards" in new.confidence.calibrated_on
        assert "alice" not in new.confidence.calibrated_on
    assert forget_calibration(cache_dir=tmp_path)
    assert not forget_calibration(cache_dir=tmp_path)
    again = recommend(split_folder, tiny_pool, cache_dir=tmp_path, max_images=30, progress=False)
    assert [row.confidence for row in again.rows] == [row.confidence for row in before.rows]


@pytest.mark.slow
def test_cards_of_other_datasets_teach_how_checkpoints_stand(
    hub: HubServer, split_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    token = hub.add_user("alice")
    names = ["org/resnet", *(f"org/net{number}" for number in range(4))]
    hub.add_repo("org/resnet", folder=tiny_pool / "resnet")
    for number in range(2):
        rows = [replace(GOOD, checkpoint=name, sha="1" * 40, score=-1.0 - place) for place, name in enumerate(names)]
        board = board_of(*rows, dataset=replace(FLOWERS, dataset=f"org/flowers{number}", sha=f"{number:040x}"))
        replace(board, method_version=SCORES["lead"].version).push_to_hub("alice/cards", token=token)
    options = {"cache_dir": tmp_path, "max_images": 30, "progress": False, "token": token}
    scores = ("lead", "lead+prior")
    unknown = recommend(split_folder, "org/resnet", score=scores, **options).best
    found = calibrate("alice/cards", cache_dir=tmp_path, token=token)
    assert found.n_standings == 5
    assert "lead+prior knows how 5 checkpoints stood on other datasets" in found.in_words()
    assert (tmp_path / "calibration" / "standings.json").stat().st_mode & 0o777 == 0o600
    known = recommend(split_folder, "org/resnet", score=scores, **options).best
    assert unknown.other_scores["lead+prior"] == unknown.score == known.score
    # Of five in a row, one step apart, the first is the root of 2 deviations above the mean; there are 3 colours.
    shift = 0.3 * SPREAD * math.log(3) * 2**0.5
    assert known.other_scores["lead+prior"] == pytest.approx(known.score + shift, abs=1e-9)
    (tmp_path / "calibration" / "standings.json").write_text("[]")
    with pytest.warns(UserWarning, match=r"standings.json is not used: .*calibrate --cards. writes it again"):
        recommend(split_folder, "org/resnet", score=scores, **options)
    assert forget_calibration(cache_dir=tmp_path)
    assert not (tmp_path / "calibration" / "standings.json").exists()


def test_what_is_no_outcome_of_this_score_is_counted_and_not_used(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    verified_board(1, accuracy=0.8, mode="probe").push_to_hub("alice/cards", token=token)
    old = replace(verified_board(2, accuracy=0.8), method_version=1)
    old.push_to_hub("alice/cards", token=token)
    found = calibrate("alice/cards", cache_dir=tmp_path, token=token)
    assert (found.sources, found.n_ignored, found.path) == ((), 6, None)
    assert found.calibration == shipped_calibration()
    assert "nothing was added" in found.in_words()


def test_a_card_that_was_changed_teaches_nothing(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    verified_board(1, accuracy=0.8, n_rows=1).push_to_hub("alice/cards", token=token)
    files = hub.repo("alice/cards", kind="dataset").files_at("main")
    (path,) = (name for name in files if name.startswith("cards/"))
    card = json.loads(files[path])
    card["results"][0]["row"]["finetuned"]["accuracy"] = 0.01
    hub.commit("alice/cards", kind="dataset", files={path: json.dumps(card).encode()})
    with pytest.warns(UserWarning, match="was changed after it was written"):
        found = calibrate("alice/cards", cache_dir=tmp_path, token=token)
    assert found.sources == ()


@pytest.mark.slow
def test_a_poisoned_repository_is_set_aside_by_name(hub: HubServer, tmp_path: Path) -> None:
    token, evil = hub.add_user("alice"), hub.add_user("evil")
    for number in range(4):
        verified_board(number, accuracy=0.7).push_to_hub("alice/cards", token=token)
        verified_board(10 + number, accuracy=0.01).push_to_hub("evil/cards", token=evil)
    honest = calibrate(["alice/cards"], cache_dir=tmp_path)
    found = calibrate(["evil/cards", "alice/cards"], cache_dir=tmp_path)
    assert [(one.name, one.is_used) for one in found.sources] == [("evil/cards", False), ("alice/cards", True)]
    assert found.calibration == honest.calibration
    assert "evil/cards: 12 outcomes" in found.in_words()
    assert "set aside" in found.in_words()


def test_no_such_repository(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="none/such"):
        calibrate("none/such", cache_dir=tmp_path)


def test_what_this_machine_found_is_kept_privately_and_once(tmp_path: Path) -> None:
    access, board = Access(tmp_path, progress=False), verified_board(1, accuracy=0.8)
    version = shipped_calibration().method_version
    for row in (*board.rows, board.rows[0]):
        keep_outcome(board, row, access)
    outcomes, n_others = kept_outcomes(access, method="lead", method_version=version)
    assert (len(outcomes), n_others) == (3, 0)
    assert outcomes[0].accuracy == 0.8
    files = sorted(tmp_path.rglob("*.json"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert "flowers" not in "".join(file.read_text() for file in files)
    files[0].write_text("{}")
    files[1].write_text(files[1].read_text().replace('"accuracy": 0.8', '"accuracy": 8'))
    outcomes, n_others = kept_outcomes(access, method="lead", method_version=version)
    assert (len(outcomes), n_others) == (1, 2)
    assert kept_outcomes(access, method="lead", method_version=version + 1) == ([], 3)
    found = calibrate(cache_dir=tmp_path)
    assert [(one.name, one.n_outcomes) for one in found.sources] == [("this machine", 1)]
    assert found.n_ignored == 2


@pytest.mark.slow
def test_a_verified_board_leaves_its_outcomes_behind(split_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    board = recommend(split_folder, tiny_pool, cache_dir=tmp_path, max_images=30, progress=False)
    quick = {"learning_rates": [1e-3], "seeds": [0], "epochs": 1, "cache_dir": tmp_path, "progress": False}
    verify(board, 1, mode="probe", **quick)
    version = shipped_calibration().method_version
    assert kept_outcomes(Access(tmp_path), method="lead", method_version=version) == ([], 0)
    verified = verify(board, 1, **quick)
    ((outcome,), _) = kept_outcomes(Access(tmp_path), method="lead", method_version=version)
    assert verified.best.finetuned is not None
    assert verified.best.confidence is not None
    assert outcome.accuracy == verified.best.finetuned.accuracy
    assert outcome.left_out == verified.best.confidence.probe_accuracy
    assert (outcome.dataset, outcome.checkpoint) == (board.dataset.sha, board.best.sha)


def test_a_damaged_calibration_is_said_and_not_used(split_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "lead.json").write_text('{"all": {}}')
    with pytest.warns(UserWarning, match="is not used: .*`lead-hub calibrate` writes it again"):
        board = recommend(split_folder, tiny_pool, cache_dir=tmp_path, max_images=30, progress=False)
    assert board.best.confidence is not None
    assert board.best.confidence.calibrated_on == shipped_calibration().in_words()


@pytest.mark.parametrize("content", ["[]", "7", '"x"', "[" * 100_000, '{"all": []}', '{"all": {"fitted_on": 1e999}}'])
def test_a_calibration_of_another_shape_is_said_and_not_used(tmp_path: Path, content: str) -> None:
    access, board = Access(tmp_path, progress=False), verified_board(0, accuracy=0.7)
    write_text_whole(access.calibration_file("lead"), content)
    with pytest.warns(UserWarning, match="is not used: .*`lead-hub calibrate` writes it again"):
        assert calibration_of(board, access) == shipped_calibration()
    write_text_whole(access.standings_file, content)
    with pytest.warns(UserWarning, match="is not used: .*`lead-hub calibrate --cards` writes it again"):
        assert kept_standings(access) == {}


@pytest.mark.slow
def test_what_stays_of_an_earlier_call_is_told(hub: HubServer, tmp_path: Path) -> None:
    """Expected accuracies are then not those of the package."""
    token = hub.add_user("alice")
    for number in range(3):
        verified_board(number, accuracy=0.7).push_to_hub("alice/cards", token=token)
    assert "stay as the package has them" in calibrate(cache_dir=tmp_path).in_words()
    fitted = calibrate("alice/cards", cache_dir=tmp_path, token=token)
    assert (fitted.has_earlier, fitted.has_earlier_standings) == (False, False)
    for again in (calibrate(cache_dir=tmp_path), calibrate(cache_dir=tmp_path, dry_run=True)):
        assert again.has_earlier
        assert "stay as an earlier call has fitted them: `lead-hub calibrate --reset` forgets it" in again.in_words()
    access = Access(tmp_path)
    write_text_whole(access.standings_file, "{}")
    assert "lead+prior still knows how checkpoints stood" in calibrate(cache_dir=tmp_path).in_words()


def test_the_command_forgets_what_it_is_told_to(tmp_path: Path) -> None:
    access, reset = Access(tmp_path), ["calibrate", "--reset", "--cache-dir", str(tmp_path)]
    write_text_whole(access.calibration_file("lead"), "{}")
    planned = CliRunner().invoke(app, [*reset, "--dry-run", "--json"])
    assert json.loads(planned.stdout) == {"was_there": True, "in_words": "would go back to the package's own"}
    assert access.calibration_file("lead").is_file()
    for more in (["--cards", "alice/cards"], ["--keep-all"], ["--token", "hf_x"]):
        refused = CliRunner().invoke(app, [*reset, *more])
        assert refused.exit_code == 2
        assert "leave out --cards, --keep-all and --token" in " ".join(refused.stderr.split())
    done = CliRunner().invoke(app, [*reset, "--json"])
    assert json.loads(done.stdout) == {"was_there": True, "in_words": "back to the package's own"}
    assert not access.calibration_file("lead").is_file()
    again = CliRunner().invoke(app, reset)
    assert json.loads(again.stdout)["was_there"] is False


def test_the_command(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    for number in range(3):
        verified_board(number, accuracy=0.7).push_to_hub("alice/cards", token=token)
    words = ["calibrate", "--cards", "alice/cards", "--cache-dir", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["sources"][0]["n_outcomes"] == 9
    assert document["path"] == str(tmp_path / "calibration" / "lead.json")
    kept = parse_calibrations((tmp_path / "calibration" / "lead.json").read_text())["all"]
    assert kept.intercept == document["calibration"]["intercept"]
    assert "back to the package's own" in CliRunner().invoke(app, ["calibrate", "--reset", *words[3:]]).output
    assert CliRunner().invoke(app, ["calibrate", "--cards", "none/such"]).exit_code == 2
