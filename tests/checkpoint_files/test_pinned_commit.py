"""A checkpoint's files from the Hub: pinned, only those that are needed, each as announced, or a clear reason."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.local_files import CheckpointFiles, fetch_weights, find_checkpoint
from lead_hub.checkpoint_files.pinned_commit import snapshot
from lead_hub.errors import CandidateError
from lead_hub.hub import HubDownError
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

CARD = b"---\nlicense: mit\ndatasets:\n- org/pets\n---\n# A model\n"
SETTINGS = {"config.json": b'{"model_type": "vit"}', "preprocessor_config.json": b"{}", "README.md": CARD}
WEIGHTS = b"\x08\0\0\0\0\0\0\0{}      " + bytes(range(256)) * 40
FILES = {**SETTINGS, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"pickle" * 90, "tf_model.h5": b"h" * 900}


@pytest.fixture
def access(tmp_path: Path, hub: HubServer) -> Access:
    return Access(tmp_path / "cache")


def fetched(candidate: Candidate, access: Access) -> CheckpointFiles:
    files = find_checkpoint(candidate, access)
    fetch_weights(files, access)
    return files


def names(files: CheckpointFiles) -> set[str]:
    return {path.name for path in files.folder.iterdir()}


def asked(hub: HubServer, text: str = "") -> list[str]:
    return [f"{request.method} {request.path}" for request in hub.requests if text in request.path]


def test_only_what_is_needed_comes_at_the_commit_of_the_listing(hub: HubServer, access: Access) -> None:
    first = hub.add_repo("org/model", files=FILES)
    hub.commit("org/model", files={"model.safetensors": b"newer" * 50})
    files = fetched(Candidate("org/model", revision=first), access)
    assert files.sha == first
    assert names(files) == {*SETTINGS, "model.safetensors"}
    assert (files.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (files.licence, files.datasets) == ("mit", ("org/pets",))
    assert len(asked(hub, "/api/")) == 1  # one request pins the commit and gives sizes and hashes
    assert not asked(hub, "/resolve/main")


def test_a_branch_is_resolved_once_and_its_commit_is_read(hub: HubServer, access: Access) -> None:
    hub.add_repo("org/model", files=FILES)
    head = hub.commit("org/model", files={"model.safetensors": b"newer" * 50})
    files = fetched(Candidate("org/model"), access)
    assert files.sha == files.folder.name == head
    assert not asked(hub, "/resolve/main")


def test_a_warm_cache_at_a_commit_makes_no_request(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    candidate = Candidate("org/model", revision=sha)
    fetched(candidate, access)
    hub.requests.clear()
    assert fetched(candidate, access).licence == "mit"
    assert asked(hub) == []


def test_settings_alone_come_first(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    files = find_checkpoint(Candidate("org/model", revision=sha), access)
    assert names(files) == set(SETTINGS)
    sizes: list[int] = []
    paths = fetch_weights(files, access, make_room=sizes.append)
    assert sizes == [len(WEIGHTS)]  # known before the first byte
    assert paths == (files.folder / "model.safetensors",)
    assert fetch_weights(files, access) == ()  # what was there before is not this run's


def test_weights_that_were_left_out_are_found_again_at_the_commit(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    candidate = Candidate("org/model", revision=sha)
    find_checkpoint(candidate, access)
    files = find_checkpoint(candidate, access)  # now from the access, without the listing
    assert fetch_weights(files, access) == (files.folder / "model.safetensors",)


def test_every_shard_comes_and_no_variant(hub: HubServer, access: Access) -> None:
    shards = {f"model-0000{number}-of-00002.safetensors": bytes([number]) * 700 for number in (1, 2)}
    index = b'{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    others = {"model.fp16-00001-of-00002.safetensors": b"x" * 700, "model_quantized.safetensors": b"x" * 700}
    sha = hub.add_repo("org/m", files={**SETTINGS, **shards, **others, "model.safetensors.index.json": index})
    files = fetched(Candidate("org/m", revision=sha), access)
    assert names(files) == {*SETTINGS, *shards, "model.safetensors.index.json"}
    (files.folder / "model-00002-of-00002.safetensors").unlink()  # a set that is not whole is completed
    assert fetch_weights(files, access) == (files.folder / "model-00002-of-00002.safetensors",)


def test_pickles_only_on_demand(hub: HubServer, access: Access, tmp_path: Path) -> None:
    pickled = {**SETTINGS, "pytorch_model.bin": b"pickle" * 90}
    sha = hub.add_repo("org/old", files=pickled)
    candidate = Candidate("org/old", revision=sha)
    with pytest.raises(CandidateError, match=r"found pytorch_model.bin: pass allow_pickle=True") as caught:
        fetched(candidate, access)
    assert caught.value.stage == "download"
    assert not asked(hub, "pytorch_model")
    allowed = Access(tmp_path / "other", allow_pickle=True)
    assert names(fetched(candidate, allowed)) == set(pickled)
    hub.add_repo("org/both", files=FILES)
    assert "pytorch_model.bin" not in names(fetched(Candidate("org/both"), allowed))


def test_no_weights_at_all(hub: HubServer, access: Access) -> None:
    hub.add_repo("org/onnx", files={**SETTINGS, "model.onnx": b"o" * 900})
    with pytest.raises(CandidateError, match=r"must hold its weights as model.safetensors, found model.onnx$"):
        fetched(Candidate("org/onnx"), access)


@pytest.mark.slow
@pytest.mark.parametrize("after_bytes", [0, 5000])
def test_a_cut_connection_goes_on_where_it_broke(hub: HubServer, access: Access, after_bytes: int) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    hub.add_fault(Fault("cut", match="model.safetensors", method="GET", times=2, after_bytes=after_bytes))
    files = fetched(Candidate("org/model", revision=sha), access)
    assert (files.folder / "model.safetensors").read_bytes() == WEIGHTS


def test_wrong_bytes_are_noticed_and_fetched_again(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    hub.add_fault(Fault("wrong_bytes", match="model.safetensors", method="GET"))
    hub.add_fault(Fault("wrong_bytes", match="preprocessor_config.json", method="GET"))
    files = fetched(Candidate("org/model", revision=sha), access)
    for name in ("model.safetensors", "preprocessor_config.json"):
        assert hashlib.sha256((files.folder / name).read_bytes()).digest() == hashlib.sha256(FILES[name]).digest()


def test_bytes_that_stay_wrong_are_not_kept(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    hub.add_fault(Fault("wrong_bytes", match="model.safetensors", method="GET", times=None))
    with pytest.raises(CandidateError, match="must have the content that the Hub announced") as caught:
        fetched(Candidate("org/model", revision=sha), access)
    assert caught.value.stage == "download"
    assert not (snapshot("org/model", sha, access) / "model.safetensors").exists()


def test_the_hubs_refusals_are_told_apart(hub: HubServer, access: Access, tmp_path: Path) -> None:
    alice = Access(tmp_path / "alice", hub.add_user("alice"))
    hub.add_repo("org/gated", files=FILES, gated="auto")
    hub.add_repo("org/private", files=FILES, private=True)
    hub.add_repo("org/model", files=FILES)
    expected = {
        ("org/gated", None): rf"is gated: accept its terms at {hub.endpoint}/org/gated.*the Hub says",
        ("org/private", None): "has no such model for you: check the spelling",
        ("org/none", None): "has no such model for you: check the spelling",
        ("org/model", "nowhere"): "has no such revision",
    }
    for who in (access, alice):
        for (checkpoint, revision), words in expected.items():
            with pytest.raises(CandidateError, match=words) as caught:
                fetched(Candidate(checkpoint, revision=revision), who)
            assert caught.value.stage == "download"
    bob = Access(tmp_path / "bob", hub.add_user("bob"))
    hub.add_repo("bob/gated", files=FILES, gated="manual")
    assert fetched(Candidate("bob/gated"), bob).licence == "mit"


def test_a_full_disk_is_foreseen(hub: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    monkeypatch.setattr("lead_hub.checkpoint_files.verified_download.SPARE_DISK_BYTES", 1 << 60)
    with pytest.raises(CandidateError, match=r"needs 0\.00 GB and .* GB to spare, .* GB are free in"):
        fetched(Candidate("org/model", revision=sha), access)
    assert not asked(hub, "model.safetensors")


def test_a_hub_that_did_not_answer_is_not_asked_again(hub: HubServer, access: Access) -> None:
    sha = hub.add_repo("org/model", files=FILES)
    fetched(Candidate("org/model", revision=sha), access)
    hub.requests.clear()
    silent = replace(access, hub_is_down=True)
    assert fetched(Candidate("org/model", revision=sha), silent).sha == sha
    with pytest.raises(HubDownError, match="did not answer before"):
        fetched(Candidate("org/other"), silent)
    assert asked(hub) == []


OFFLINE = """
import sys
from pathlib import Path
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import fetch_weights, find_checkpoint
from lead_hub.errors import CandidateError
from lead_hub.access import Access
access = Access(Path(sys.argv[1]))
for name in ("org/model", "org/never"):
    try:
        files = find_checkpoint(Candidate(name), access)
        print(files.sha, fetch_weights(files, access))
    except CandidateError as error:
        print(error.stage, error)
"""


@pytest.mark.slow
def test_offline_the_cached_copy_of_a_branch_is_used(hub: HubServer, access: Access) -> None:
    from huggingface_hub import snapshot_download

    sha = hub.add_repo("org/model", files=FILES)
    snapshot_download("org/model", cache_dir=access.hub_folder)  # as transformers or the user would have done
    hub.requests.clear()
    finished = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(access.cache_dir)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    found, never = finished.stdout.splitlines()
    assert found == f"{sha} ()"
    assert never.startswith("download org/never is no local folder, is not in the cache")
    assert asked(hub) == []


def test_a_branch_that_is_noted_already_is_not_written_again(hub: HubServer, access: Access) -> None:
    """A cache of a cluster may only be read: what it holds is enough."""
    hub.add_repo("org/model", files=FILES)
    fetched(Candidate("org/model"), access)
    reference = access.hub_folder / "models--org--model" / "refs" / "main"
    before = reference.stat()
    fetched(Candidate("org/model"), access)
    after = reference.stat()
    # Not all of it: reading the file may change when it was read.
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    reference.unlink()
    reference.mkdir()  # nothing can be written in its place
    fetched(Candidate("org/model"), access)
