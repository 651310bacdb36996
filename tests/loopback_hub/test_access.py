"""Who may see and change what: three users, gated and private repositories, tokens of three roles."""

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from tests.loopback_hub.server import HubServer

FILES = {"config.json": b"{}", "model.safetensors": b"\0" * 100}


@pytest.fixture
def users(hub: HubServer) -> dict[str, HfApi]:
    """The owner, a user to whom access was granted, a stranger, and nobody."""
    hub.add_repo("team/gated", files=FILES, gated="manual", granted=("bob",))
    hub.add_repo("team/private", files=FILES, private=True, granted=("bob",))
    return {
        "owner": HfApi(token=hub.add_user("alice", orgs=("team",))),
        "granted": HfApi(token=hub.add_user("bob")),
        "stranger": HfApi(token=hub.add_user("carol")),
        "nobody": HfApi(token=False),
    }


def refused(call: Callable[[], object]) -> tuple[type[HfHubHTTPError], int]:
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    return type(caught.value), caught.value.response.status_code


@pytest.mark.parametrize("file", FILES)
def test_gated_files_are_for_whoever_was_granted_access(
    hub: HubServer, users: dict[str, HfApi], file: str, tmp_path: Path
) -> None:
    for api in users.values():  # that it exists, and what it holds, anybody may know
        assert api.model_info("team/gated").gated == "manual"
        assert set(api.list_repo_files("team/gated")) == set(FILES)
    for name in ("owner", "granted"):
        users[name].auth_check("team/gated")
        path = users[name].hf_hub_download("team/gated", file, cache_dir=tmp_path / name)
        assert Path(path).read_bytes() == FILES[file]
    for name, status in (("stranger", 403), ("nobody", 401)):
        api = users[name]
        assert refused(lambda api=api: api.auth_check("team/gated")) == (GatedRepoError, status)
        download = lambda api=api, name=name: api.hf_hub_download("team/gated", file, cache_dir=tmp_path / name)  # noqa: E731
        assert refused(download) == (GatedRepoError, status)


def test_a_private_one_does_not_exist_for_others(hub: HubServer, users: dict[str, HfApi], tmp_path: Path) -> None:
    for name in ("owner", "granted"):
        assert users[name].model_info("team/private").private
        assert [model.id for model in users[name].list_models(search="private")] == ["team/private"]
        users[name].snapshot_download("team/private", cache_dir=tmp_path / name)
    for name, status in (("stranger", 404), ("nobody", 401)):
        api = users[name]
        asked = [api.model_info, api.list_repo_files, api.list_repo_refs, api.auth_check]
        asked += [lambda repo, api=api: api.hf_hub_download(repo, "config.json", cache_dir=tmp_path / "none")]
        for call in asked:
            assert refused(lambda call=call: call("team/private")) == (RepositoryNotFoundError, status)
        assert list(api.list_models(search="private")) == []


def test_settings_hide_and_gate(hub: HubServer, users: dict[str, HfApi]) -> None:
    hub.add_repo("team/open", files=FILES)
    users["owner"].update_repo_settings("team/open", gated="auto")
    with pytest.raises(GatedRepoError):
        users["nobody"].auth_check("team/open")
    users["owner"].update_repo_settings("team/open", gated=False, private=True)
    with pytest.raises(RepositoryNotFoundError):
        users["nobody"].auth_check("team/open")
    assert refused(lambda: users["granted"].update_repo_settings("team/gated", gated=False))[1] == 403


def commit(api: HfApi, repository: str, *, create_pr: bool = False) -> None:
    operations = [CommitOperationAdd("x.txt", b"x")]
    api.create_commit(repository, operations, commit_message="x", create_pr=create_pr)


def test_a_reading_token_changes_nothing(hub: HubServer, users: dict[str, HfApi]) -> None:
    reader = HfApi(token=hub.add_user("alice", orgs=("team",), role="read"))
    assert reader.model_info("team/private").private
    assert reader.whoami()["auth"]["accessToken"]["role"] == "read"
    before = hub.repo("team/gated").head
    for call in (
        lambda: commit(reader, "team/gated"),
        lambda: commit(reader, "team/gated", create_pr=True),
        lambda: reader.create_repo("alice/new"),
        lambda: reader.delete_repo("team/gated"),
        lambda: reader.create_discussion("team/gated", "Hello"),
        lambda: reader.create_collection("Mine", namespace="alice"),
        lambda: reader.auth_check("team/gated", write=True),
    ):
        assert refused(call)[1] == 403
    assert hub.repo("team/gated").head == before
    assert not hub.repo("team/gated").discussions


def test_a_contributing_token_changes_what_it_created(hub: HubServer, users: dict[str, HfApi]) -> None:
    contributor = HfApi(token=hub.add_user("alice", orgs=("team",), role="contribute"))
    contributor.create_repo("team/scores", repo_type="dataset", private=True)
    contributor.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="team/scores", repo_type="dataset")
    assert hub.repo("team/scores", kind="dataset").files_at()["x.txt"] == b"x"
    assert refused(lambda: commit(contributor, "team/gated"))[1] == 403
    assert refused(lambda: commit(contributor, "team/gated", create_pr=True))[1] == 403
    assert refused(lambda: contributor.model_info("team/private"))[1] == 404


def test_nobody_writes_nothing(hub: HubServer, users: dict[str, HfApi]) -> None:
    hub.add_repo("team/open", files=FILES)
    assert refused(lambda: commit(users["nobody"], "team/open"))[1] == 401
    assert refused(lambda: commit(users["stranger"], "team/open"))[1] == 403
    assert refused(lambda: users["nobody"].create_repo("nobody/new"))[1] == 401
    assert {request.user for request in hub.requests if request.status == 401} == {None}
