"""The real client writes to the test Hub: repositories, commits, pull requests, and writers at the same time."""

import threading
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.loopback_hub.server import HubServer

LARGE = bytes(range(256)) * 2000


@pytest.fixture
def alice(hub: HubServer) -> HfApi:
    """The client of alice, who owns an empty model."""
    api = HfApi(token=hub.add_user("alice", orgs=("team",)))
    api.create_repo("alice/model")
    return api


def added(**files: bytes) -> list[CommitOperationAdd]:
    return [CommitOperationAdd(name.replace("_", "."), content) for name, content in files.items()]


def status_of(caught: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return caught.value.response.status_code


def test_repositories_come_and_go(hub: HubServer, alice: HfApi) -> None:
    assert alice.whoami()["name"] == "alice"
    url = alice.create_repo("team/data", repo_type="dataset", private=True)
    assert (url.repo_id, url.repo_type, str(url)) == ("team/data", "dataset", f"{hub.endpoint}/datasets/team/data")
    alice.create_repo("team/space", repo_type="space", space_sdk="gradio")
    assert alice.create_repo("team/data", repo_type="dataset", exist_ok=True).repo_id == "team/data"
    with pytest.raises(HfHubHTTPError) as caught:
        alice.create_repo("team/data", repo_type="dataset")
    assert status_of(caught) == 409
    with pytest.raises(HfHubHTTPError) as caught:
        alice.create_repo("strangers/data")
    assert status_of(caught) == 403
    assert hub.repo("team/data", kind="dataset").private
    alice.update_repo_settings("team/data", repo_type="dataset", private=False)
    assert not hub.repo("team/data", kind="dataset").private
    alice.delete_repo("team/data", repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        alice.delete_repo("team/data", repo_type="dataset")


def test_files_small_and_large_arrive(hub: HubServer, alice: HfApi, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors").write_bytes(LARGE)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    alice.upload_folder(repo_id="alice/model", folder_path=tmp_path)
    alice.upload_file(repo_id="alice/model", path_or_fileobj=b"text", path_in_repo="notes.txt")
    commit = hub.repo("alice/model").resolve("main")
    assert commit is not None
    assert {path: (file.content, file.is_lfs) for path, file in commit.files.items() if path != ".gitattributes"} == {
        "README.md": (b"---\nlicense: mit\n---\n", False),
        "sub/model.safetensors": (LARGE, True),
        "notes.txt": (b"text", False),
    }
    assert commit.author == "alice"


def test_copies_deletions_and_the_same_again(hub: HubServer, alice: HfApi) -> None:
    first = alice.create_commit("alice/model", added(a_txt=b"a", b_bin=LARGE, c_txt=b"c"), commit_message="first")
    again = alice.create_commit("alice/model", added(a_txt=b"a", b_bin=LARGE), commit_message="again")
    assert again.oid == first.oid
    operations = [
        CommitOperationCopy("b.bin", "copy/b.bin"),
        CommitOperationCopy("a.txt", "copy/a.txt"),
        CommitOperationDelete("c.txt"),
        CommitOperationDelete("b.bin"),
    ]
    alice.create_commit("alice/model", operations, commit_message="move")
    repository = hub.repo("alice/model")
    files = {path: content for path, content in repository.files_at().items() if path != ".gitattributes"}
    assert files == {"a.txt": b"a", "copy/a.txt": b"a", "copy/b.bin": LARGE}
    alice.delete_folder("copy", "alice/model")
    assert set(repository.files_at()) == {".gitattributes", "a.txt"}
    assert [commit.title for commit in repository.commits[:3]] == ["initial commit", "first", "move"]
    assert len(repository.commits) == 4
    assert repository.files_at(first.oid)["c.txt"] == b"c"


def test_a_stale_parent_is_refused(hub: HubServer, alice: HfApi) -> None:
    stale = hub.repo("alice/model").head
    alice.create_commit("alice/model", added(a_txt=b"a"), commit_message="one", parent_commit=stale)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as caught:
        alice.create_commit("alice/model", added(b_txt=b"b"), commit_message="two", parent_commit=stale)
    assert status_of(caught) == 412
    assert "b.txt" not in hub.repo("alice/model").files_at()


def test_four_writers_at_once_lose_nothing(hub: HubServer, alice: HfApi) -> None:
    """Each adds five lines to the same file and starts over when another was first."""
    refusals: list[int] = []

    def write(writer: int) -> None:
        for number in range(5):
            while True:
                head = alice.model_info("alice/model").sha
                known = hub.repo("alice/model").files_at(head).get("log.txt", b"")
                operations = added(log_txt=known + b"%d %d\n" % (writer, number))
                try:
                    alice.create_commit("alice/model", operations, commit_message="log", parent_commit=head)
                except HfHubHTTPError as error:
                    refusals.append(error.response.status_code)
                else:
                    break

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refusals) <= {412}
    lines = hub.repo("alice/model").files_at()["log.txt"].decode().splitlines()
    assert sorted(lines) == sorted(f"{writer} {number}" for writer in range(4) for number in range(5))
    assert len(hub.repo("alice/model").commits) == 1 + 20


def test_a_pull_request_waits_for_the_owner(hub: HubServer, alice: HfApi) -> None:
    bob = HfApi(token=hub.add_user("bob"))
    with pytest.raises(HfHubHTTPError) as caught:
        bob.create_commit("alice/model", added(a_txt=b"a"), commit_message="mine")
    assert status_of(caught) == 403
    proposed = bob.create_commit("alice/model", added(a_txt=b"a"), commit_message="Proposal", create_pr=True)
    assert (proposed.pr_num, proposed.pr_revision) == (1, "refs/pr/1")
    bob.create_commit("alice/model", added(b_txt=b"b"), commit_message="more", revision="refs/pr/1")
    repository = hub.repo("alice/model")
    assert set(repository.files_at("refs/pr/1")) == {".gitattributes", "a.txt", "b.txt"}
    assert set(repository.files_at()) == {".gitattributes"}
    assert bob.model_info("alice/model", revision="refs/pr/1").sha == repository.refs["refs/pr/1"]
    carol = HfApi(token=hub.add_user("carol"))
    with pytest.raises(HfHubHTTPError) as caught:
        carol.create_commit("alice/model", added(c_txt=b"c"), commit_message="not mine", revision="refs/pr/1")
    assert status_of(caught) == 403
    (listed,) = alice.get_repo_discussions("alice/model", discussion_type="pull_request", discussion_status="open")
    assert (listed.title, listed.author, listed.num) == ("Proposal", "bob", 1)
    with pytest.raises(HfHubHTTPError):
        bob.merge_pull_request("alice/model", 1)
    alice.merge_pull_request("alice/model", 1)
    assert set(repository.files_at()) == {".gitattributes", "a.txt", "b.txt"}
    merged = alice.get_discussion_details("alice/model", 1)
    assert (merged.status, merged.merge_commit_oid, merged.conflicting_files) == ("merged", repository.head, [])


def test_a_draft_that_a_client_fills_later(hub: HubServer, alice: HfApi) -> None:
    bob = HfApi(token=hub.add_user("bob"))
    draft = bob.create_pull_request("alice/model", "Draft")
    assert (draft.status, draft.git_reference) == ("draft", "refs/pr/1")
    bob.create_commit("alice/model", added(b_bin=LARGE), commit_message="fill", revision="refs/pr/1")
    bob.change_discussion_status("alice/model", 1, "open")
    refs = bob.list_repo_refs("alice/model", include_pull_requests=True)
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [
        ("refs/pr/1", hub.repo("alice/model").refs["refs/pr/1"])
    ]
    alice.upload_file(repo_id="alice/model", path_or_fileobj=b"mine", path_in_repo="b.bin")
    assert alice.get_discussion_details("alice/model", 1).conflicting_files == ["b.bin"]
    with pytest.raises(HfHubHTTPError) as caught:
        alice.merge_pull_request("alice/model", 1)
    assert status_of(caught) == 409
    assert hub.repo("alice/model").files_at()["b.bin"] == b"mine"


def test_discussions_are_kept_and_closed(hub: HubServer, alice: HfApi) -> None:
    bob = HfApi(token=hub.add_user("bob"))
    for number in range(12):  # two pages
        (alice if number % 2 else bob).create_discussion("alice/model", f"Question {number}", description="Why?")
    bob.comment_discussion("alice/model", 12, "Because.")
    bob.rename_discussion("alice/model", 11, "Another question")
    with pytest.raises(HfHubHTTPError) as caught:
        bob.change_discussion_status("alice/model", 12, "closed")
    assert status_of(caught) == 403
    alice.change_discussion_status("alice/model", 12, "closed", comment="Answered.")
    listed = list(bob.get_repo_discussions("alice/model"))
    assert [discussion.num for discussion in listed] == list(range(12, 0, -1))
    assert listed[1].title == "Another question"
    of_bob = bob.get_repo_discussions("alice/model", author="bob", discussion_status="open")
    assert {discussion.num for discussion in of_bob} == {1, 3, 5, 7, 9, 11}
    assert [d.num for d in bob.get_repo_discussions("alice/model", discussion_status="closed")] == [12]
    assert not list(bob.get_repo_discussions("alice/model", discussion_type="pull_request"))
    details = bob.get_discussion_details("alice/model", 12)
    assert [getattr(event, "content", event.type) for event in details.events] == [
        *("Why?", "Because.", "Answered.", "status-change"),
    ]


def test_branches_and_tags_are_revisions(hub: HubServer, alice: HfApi) -> None:
    first = hub.repo("alice/model").head
    alice.create_tag("alice/model", tag="v1")
    alice.create_branch("alice/model", branch="dev")
    alice.upload_file(repo_id="alice/model", path_or_fileobj=b"x", path_in_repo="x.txt", revision="dev")
    assert alice.model_info("alice/model", revision="v1").sha == first == hub.repo("alice/model").head
    assert alice.list_repo_files("alice/model", revision="dev") == [".gitattributes", "x.txt"]
    commits = alice.list_repo_commits("alice/model", revision="dev")
    assert [commit.title for commit in commits] == ["Upload x.txt with huggingface_hub", "initial commit"]
    assert {branch.name for branch in alice.list_repo_refs("alice/model").branches} == {"main", "dev"}


def test_a_card_must_be_yaml(hub: HubServer, alice: HfApi) -> None:
    with pytest.raises(ValueError, match="Invalid metadata"):
        alice.upload_file(repo_id="alice/model", path_or_fileobj=b"---\nlicense: [\n---\n", path_in_repo="README.md")
    assert "README.md" not in hub.repo("alice/model").files_at()


def test_collections_hold_repositories_with_notes(hub: HubServer, alice: HfApi) -> None:
    alice.create_repo("alice/other")
    made = alice.create_collection("Best for pets", namespace="team", description="Ranked", private=True)
    again = alice.create_collection("Best for pets", namespace="team", exists_ok=True)
    assert (made.slug, made.private, made.description) == (again.slug, True, "Ranked")
    alice.add_collection_item(made.slug, "alice/model", "model", note="0.5")
    alice.add_collection_item(made.slug, "alice/other", "model")
    alice.add_collection_item(made.slug, "alice/model", "model", note="0.6", exists_ok=True)
    with pytest.raises(HfHubHTTPError) as caught:
        alice.add_collection_item(made.slug, "alice/model", "model")
    assert status_of(caught) == 409
    known = alice.get_collection(made.slug)
    assert [(item.item_id, item.note) for item in known.items] == [("alice/model", "0.5"), ("alice/other", None)]
    alice.update_collection_item(made.slug, known.items[1].item_object_id, note="0.7", position=0)
    known = alice.get_collection(made.slug)
    assert [(item.item_id, item.note) for item in known.items] == [("alice/other", "0.7"), ("alice/model", "0.5")]
    assert [one.slug for one in alice.list_collections(owner="team")] == [made.slug]
    bob = HfApi(token=hub.add_user("bob"))
    assert not list(bob.list_collections(owner="team"))
    with pytest.raises(HfHubHTTPError) as caught:
        bob.get_collection(made.slug)
    assert status_of(caught) == 404
    alice.delete_collection_item(made.slug, known.items[0].item_object_id)
    assert [item.item_id for item in alice.get_collection(made.slug).items] == ["alice/model"]
    alice.delete_collection(made.slug)
    with pytest.raises(HfHubHTTPError):
        alice.get_collection(made.slug)
