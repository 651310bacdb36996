"""An index without commits -> pinned, with what the Hub says today; what cannot be pinned stays and is named."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi

from lead_hub.candidates.model_index import IndexEntry, LeftOut, ModelIndex, read_model_index, write_model_index
from lead_hub.candidates.refreshing import refresh_index
from lead_hub.errors import HubError
from lead_hub.hub import hub_api
from tests.candidates.published_models import classifier
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    return hub_api(hub.add_user("reader", role="read"))


def test_each_checkpoint_is_pinned_and_brought_up_to_date(hub: HubServer, api: HfApi) -> None:
    sha = hub.add_repo("team/resnet", files=classifier(license="mit", numbers={"F32": 7}), downloads=5)
    before = IndexEntry("team/resnet", family="residual", parameters=6, imagenet_top1_percent=80.0, licence="other")
    index, unpinned = refresh_index(ModelIndex((before,), query={"limit": 3}), api=api)
    (entry,) = index.entries
    assert (entry.sha, entry.licence, entry.downloads, entry.weight_bytes) == (sha, "mit", 5, 28)
    # What was known better stays.
    assert (entry.family, entry.parameters, entry.imagenet_top1_percent) == ("residual", 6, 80.0)
    assert (index.hub, index.query, unpinned) == (hub.endpoint, {"limit": 3}, ())
    newer = hub.commit("team/resnet", files={"more.txt": b"more"})
    index, _ = refresh_index(index, api=api, unpinned_only=True)
    assert index.entries[0].sha == sha
    index, _ = refresh_index(index, api=api)
    assert index.entries[0].sha == newer


def test_one_request_for_each_checkpoint(hub: HubServer, api: HfApi) -> None:
    for name in "abc":
        hub.add_repo(f"team/{name}", files=classifier())
    refresh_index(ModelIndex(tuple(IndexEntry(f"team/{name}") for name in "abc")), api=api)
    assert [request.path for request in hub.requests] == [f"/api/models/team/{name}" for name in "abc"]


def test_what_is_gone_or_gated_stays_unpinned(hub: HubServer, api: HfApi) -> None:
    hub.add_repo("team/gated", files=classifier(), gated="manual")
    hub.add_repo("team/private", files=classifier(), private=True)
    hub.add_repo("team/good", files=classifier())
    names = ("team/gated", "team/private", "team/gone", "not an id", "team/good")
    index, unpinned = refresh_index(ModelIndex(tuple(IndexEntry(name, sha="0" * 40) for name in names)), api=api)
    assert [entry.id for entry in index.entries] == list(names)
    assert [entry.sha is None for entry in index.entries] == [True, True, True, True, False]
    assert index.entries[0].gated == "manual"
    nobody = "the Hub has no such model, or it is private"
    assert unpinned == (
        LeftOut("team/gated", "gated", "ask for access on its Hub page"),
        *(LeftOut(name, "gone", nobody) for name in names[1:4]),
    )


def test_a_refusal_keeps_what_was_done(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    shas = [hub.add_repo(f"team/{name}", files=classifier()) for name in "abc"]
    hub.add_fault(Fault("status", match="team/c", status=403, times=None))
    path = tmp_path / "index.json"
    before = ModelIndex(tuple(IndexEntry(f"team/{name}") for name in "abc"))
    with pytest.raises(HubError, match="answers 403 for the facts of team/c"):
        refresh_index(before, api=api, save=lambda index: write_model_index(path, index))
    assert [entry.sha for entry in read_model_index(path).entries] == [shas[0], shas[1], None]
    steps: list[tuple[int, int]] = []
    hub.faults.clear()
    index, _ = refresh_index(
        read_model_index(path), api=api, unpinned_only=True, advance=lambda *step: steps.append(step)
    )
    assert [entry.sha for entry in index.entries] == shas
    assert steps == [(1, 1)]
