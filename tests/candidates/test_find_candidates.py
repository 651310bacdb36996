"""A Hub full of models -> those that can be ranked, and why each of the others cannot."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi

from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.finding import find_candidates
from lead_hub.candidates.model_index import IndexEntry, LeftOut
from lead_hub.errors import HubError
from lead_hub.hub import hub_api
from tests.candidates.published_models import classifier, safetensors, without
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    return hub_api(hub.add_user("reader", role="read"))


def listing_requests(hub: HubServer) -> int:
    return sum(request.path == "/api/models" for request in hub.requests)


def model_requests(hub: HubServer) -> list[str]:
    return [request.path for request in hub.requests if request.path.startswith("/api/models/")]


def test_every_fact_of_the_listing_is_kept(hub: HubServer, api: HfApi) -> None:
    sha = hub.add_repo(
        "team/resnet",
        files=classifier(
            numbers={"F32": 10, "BF16": 4, "I64": 2},
            license="apache-2.0",
            datasets=["imagenet-1k"],
            base_model="up/base",
        ),
        downloads=70,
        likes=3,
        last_modified="2026-01-02T03:04:05.000Z",
    )
    found = find_candidates(CandidateQuery(), api=api)
    assert found.candidates == (
        IndexEntry(
            "team/resnet",
            sha=sha,
            library="transformers",
            architecture="ResNetForImageClassification",
            model_type="resnet",
            family="resnet",
            pipeline_tag="image-classification",
            parameters=10 + 4 + 2,
            weight_format="safetensors",
            weight_bytes=10 * 4 + 4 * 2 + 2 * 8,
            licence="apache-2.0",
            gated=False,
            downloads=70,
            likes=3,
            last_modified="2026-01-02T03:04:05+00:00",
            base_model="up/base",
            datasets=("imagenet-1k",),
        ),
    )
    assert (found.n_listed, found.left_out) == (1, ())
    assert model_requests(hub) == []


def test_a_timm_checkpoint(hub: HubServer, api: HfApi) -> None:
    files = {
        "config.json": b'{"architecture": "convnextv2_tiny", "pretrained_cfg": {}}',
        "model.safetensors": safetensors({"F32": 5}),
        "README.md": classifier(library_name="timm")["README.md"],
    }
    hub.add_repo("timm/convnextv2_tiny.fcmae", files=files)
    (entry,) = find_candidates(CandidateQuery(), api=api).candidates
    assert (entry.library, entry.architecture, entry.model_type) == ("timm", "convnextv2_tiny", None)
    assert (entry.family, entry.parameters) == ("convnextv2", 5)


@pytest.mark.slow
def test_two_thousand_models_take_few_requests(hub: HubServer, api: HfApi) -> None:
    # Shared bytes: 1,000 models of each task, more than fit on one page of 500.
    resnet = classifier(license="mit")
    bare = classifier(architecture="ResNetModel", pipeline_tag="image-feature-extraction", license="mit")
    for number in range(1000):
        hub.add_repo(f"team/classifier-{number}", files=resnet, downloads=number)
        hub.add_repo(f"team/backbone-{number}", files=bare, downloads=number)
    hub.page_size = 500
    found = find_candidates(CandidateQuery(), api=api)
    assert found.n_listed == 2000
    assert listing_requests(hub) <= 10
    assert model_requests(hub) == []
    assert len(found.candidates) == 100
    assert {entry.downloads for entry in found.candidates} == set(range(950, 1000))
    assert found.n_left_out == {"beyond the limit": 1900}


def test_each_model_left_out_has_its_reason(hub: HubServer, api: HfApi) -> None:
    hub.add_user("other")
    whole = classifier()
    token = hub.add_user("reader", orgs=("team",))
    hub.add_repo("team/good", files=whole)
    hub.add_repo("team/gated", files=whole, gated="manual")
    hub.add_repo("team/private", files=whole, private=True)
    hub.add_repo("team/pickle", files=without(whole, "model.safetensors", pytorch_model__bin=b"pickle"))
    hub.add_repo("team/other-pickle", files=without(whole, "model.safetensors", weights__pth=b"pickle"))
    hub.add_repo("team/gguf", files=without(whole, "model.safetensors", model__gguf=b"GGUF"))
    hub.add_repo("team/onnx", files=without(whole, "model.safetensors", model__onnx=b"onnx"))
    hub.add_repo("team/adapter", files=whole | {"adapter_config.json": b"{}"})
    hub.add_repo("team/empty", files=without(whole, "model.safetensors"))
    hub.add_repo("team/processor", files=without(whole, "preprocessor_config.json"))
    hub.add_repo("team/int8", files=classifier(numbers={"F32": 4, "I8": 5}))
    hub.add_repo("team/bnb", files=classifier(config={"quantization_config": {"load_in_8bit": True}}))
    hub.add_repo("team/awq", files=classifier(), tags=("awq",))
    hub.add_repo("team/code", files=classifier("mine", "Mine", config={"auto_map": {"AutoModel": "modeling.Mine"}}))
    hub.add_repo("team/known-code", files=classifier("vit", config={"auto_map": {"AutoConfig": "c.C"}}))
    hub.add_repo("team/detector", files=classifier("detr", "DetrForObjectDetection"))
    hub.add_repo("team/segmenter", files=classifier("beit", "BeitForSemanticSegmentation"))
    hub.add_repo("team/video", files=classifier("videomae", "VideoMAEForVideoClassification"))
    hub.add_repo("team/ocr", files=classifier("vision-encoder-decoder", "VisionEncoderDecoderModel"))
    hub.add_repo("team/unknown", files=classifier("brand-new", "BrandNewModel"))
    timm_only = classifier(library_name="timm")
    hub.add_repo("team/bare", files=without(timm_only, "config.json", "preprocessor_config.json"))
    found = find_candidates(CandidateQuery(), api=hub_api(token))
    assert {entry.id for entry in found.candidates} == {"team/good", "team/known-code"}
    reasons = {each.id.removeprefix("team/"): each.reason for each in found.left_out}
    assert reasons == {
        "gated": "gated",
        "private": "private",
        "pickle": "pickle only",
        "other-pickle": "pickle only",
        "gguf": "GGUF only",
        "onnx": "ONNX only",
        "adapter": "no weights",
        "empty": "no weights",
        "processor": "no image processor",
        "int8": "quantised",
        "bnb": "quantised",
        "awq": "quantised",
        "code": "needs remote code",
        "detector": "not an image encoder",
        "segmenter": "not an image encoder",
        "video": "not an image encoder",
        "ocr": "not an image encoder",
        "unknown": "not an image encoder",
        "bare": "no config.json",
    }
    details = {each.id: each.detail for each in found.left_out}
    assert details["team/detector"] == "detector: DetrForObjectDetection"
    assert details["team/segmenter"] == "segmenter: BeitForSemanticSegmentation"
    assert details["team/ocr"] == "text reader or captioner: model_type vision-encoder-decoder"
    assert found.n_left_out["not an image encoder"] == 5
    assert found.n_listed == 21


def test_the_bounds_of_the_query(hub: HubServer, api: HfApi) -> None:
    hub.add_repo("team/good", files=classifier(license="mit"), downloads=50)
    hub.add_repo("team/large", files=classifier(numbers={"F32": 101}, license="mit"), downloads=50)
    hub.add_repo("team/limited", files=classifier(license="cc-by-nc-4.0"), downloads=50)
    hub.add_repo("team/unnamed", files=classifier(), downloads=50)
    hub.add_repo("team/rare", files=classifier(license="mit"), downloads=49)
    hub.add_repo("team/vit", files=classifier("vit", "ViTForImageClassification", license="mit"), downloads=50)
    hub.add_repo("Spam/good", files=classifier(license="mit"), downloads=50)
    query = CandidateQuery(
        max_parameters=100, licences=("permissive",), min_downloads=50, families=("resnet",), exclude=("spam/*",)
    )
    found = find_candidates(query, api=api)
    assert [entry.id for entry in found.candidates] == ["team/good"]
    assert set(found.left_out) == {
        LeftOut("team/large", "too large", "101 parameters of 100"),
        LeftOut("team/limited", "licence not allowed", "cc-by-nc-4.0"),
        LeftOut("team/unnamed", "licence not allowed", "names none"),
        LeftOut("team/rare", "few downloads", "49 of 50"),
        LeftOut("team/vit", "family not asked for", "vit"),
        LeftOut("Spam/good", "excluded", "by spam/*"),
    }


def test_pickles_are_kept_where_allowed_and_their_size_is_unknown(hub: HubServer, api: HfApi) -> None:
    pickled = without(classifier(), "model.safetensors", pytorch_model__bin=b"pickle")
    hub.add_repo("team/pickle", files=pickled)
    hub.add_repo("team/other-pickle", files=without(classifier(), "model.safetensors", weights__pth=b"pickle"))
    (entry,) = find_candidates(CandidateQuery(allow_pickle=True), api=api).candidates
    assert (entry.id, entry.weight_format, entry.parameters) == ("team/pickle", "pickle", None)
    bounded = find_candidates(CandidateQuery(allow_pickle=True, max_parameters=100), api=api)
    assert bounded.candidates == ()
    assert bounded.n_left_out == {"size unknown": 1, "pickle only": 1}


def test_one_of_the_copies_of_a_base_is_kept(hub: HubServer, api: HfApi) -> None:
    hub.add_repo("up/base", files=classifier(datasets=["up/photos"]), downloads=1)
    hub.add_repo("a/copy", files=classifier(base_model="up/base", datasets=["a/pets"]), downloads=90)
    hub.add_repo("b/copy-of-copy", files=classifier(base_model="a/copy"), downloads=80)
    hub.add_repo("c/absent-base", files=classifier(base_model="gone/base"), downloads=5)
    hub.add_repo("d/absent-base", files=classifier(base_model="gone/base"), downloads=6)
    hub.add_repo("e/other-family", files=classifier("vit", "ViTForImageClassification", base_model="up/base"))
    found = find_candidates(CandidateQuery(), api=api)
    assert [entry.id for entry in found.candidates] == ["d/absent-base", "up/base", "e/other-family"]
    assert set(found.left_out) == {
        LeftOut("a/copy", "copy", "copy of up/base"),
        LeftOut("b/copy-of-copy", "copy", "copy of up/base"),
        LeftOut("c/absent-base", "copy", "copy of gone/base; d/absent-base has more downloads"),
    }
    copies = {entry.id: entry for entry in find_candidates(CandidateQuery(copies=True), api=api).candidates}
    assert len(copies) == 6
    assert copies["b/copy-of-copy"].base_datasets == ("a/pets", "up/photos")


def test_a_copy_stands_for_a_base_that_cannot_be_used(hub: HubServer, api: HfApi) -> None:
    hub.add_repo("up/base", files=classifier(datasets=["up/photos"]), gated="auto")
    hub.add_repo("a/copy", files=classifier(base_model="up/base"), downloads=1)
    hub.add_repo("b/copy", files=classifier(base_model="up/base"), downloads=2)
    found = find_candidates(CandidateQuery(), api=api, dataset="UP/Photos")
    assert [(entry.id, entry.base_datasets) for entry in found.candidates] == [("b/copy", ("up/photos",))]
    assert found.trained_on_dataset == ("b/copy",)


def test_a_hub_that_refuses_keys_is_asked_for_files_one_by_one(hub: HubServer, api: HfApi) -> None:
    hub.refused_expand = {"baseModels", "siblings"}
    hub.add_repo("up/base", files=classifier(), downloads=3)
    hub.add_repo("a/copy", files=classifier(base_model="up/base"), downloads=9)
    hub.add_repo("a/processor", files=without(classifier(), "preprocessor_config.json"), downloads=8)
    hub.add_repo("a/beyond", files=classifier(), downloads=1)
    found = find_candidates(CandidateQuery(limit=1), api=api)
    assert [entry.id for entry in found.candidates] == ["up/base"]
    assert {each.id: each.reason for each in found.left_out} == {
        "a/copy": "copy",
        "a/processor": "no image processor",
        "a/beyond": "beyond the limit",
    }
    # One for each that was about to be kept, none for copies and what is beyond the limit.
    assert sorted(path.split("/revision/")[0] for path in model_requests(hub)) == [
        "/api/models/a/processor",
        "/api/models/up/base",
    ]
    assert listing_requests(hub) == 1 + 4  # the first is refused, and no other asks for those keys again


def test_a_crawl_that_was_cut_short_goes_on(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    hub.add_repo("team/classifier", files=classifier())
    hub.add_repo("team/backbone", files=classifier(architecture="ResNetModel", pipeline_tag="image-feature-extraction"))
    progress, query = tmp_path / "progress.json", CandidateQuery(libraries=("transformers",))
    steps: list[tuple[int, int]] = []

    def advance(done: int, total: int) -> None:
        steps.append((done, total))
        hub.add_fault(Fault("status", match="/api/models", status=403))  # the second listing is refused

    with pytest.raises(
        HubError, match="answers 403 for the listing of image-feature-extraction models of transformers"
    ):
        find_candidates(query, api=api, progress_file=progress, advance=advance)
    assert (steps, listing_requests(hub)) == ([(1, 2)], 2)
    found = find_candidates(query, api=api, progress_file=progress)
    assert {entry.id for entry in found.candidates} == {"team/classifier", "team/backbone"}
    assert listing_requests(hub) == 3
    assert found == find_candidates(query, api=api, progress_file=progress)
    assert listing_requests(hub) == 3
    find_candidates(CandidateQuery(libraries=("transformers",), limit=7), api=api, progress_file=progress)
    assert listing_requests(hub) == 5


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"started": 5}', b"\xff"])
def test_damaged_progress_starts_again(hub: HubServer, api: HfApi, tmp_path: Path, damage: bytes) -> None:
    hub.add_repo("team/classifier", files=classifier())
    progress = tmp_path / "progress.json"
    progress.write_bytes(damage)
    assert find_candidates(CandidateQuery(), api=api, progress_file=progress).n_listed == 1


def test_a_disk_that_keeps_no_progress_ends_no_crawl(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    """A file stands where the folder of the progress should be: nothing can be written there, also not by root."""
    hub.add_repo("team/classifier", files=classifier())
    (tmp_path / "lead-hub").write_text("no folder")
    with pytest.warns(
        UserWarning, match="how far the crawl is could not be kept, .*free some of the disk, or set HF_HOME"
    ):
        found = find_candidates(CandidateQuery(), api=api, progress_file=tmp_path / "lead-hub" / "progress.json")
    assert [entry.id for entry in found.candidates] == ["team/classifier"]


@pytest.mark.slow
def test_passing_failures_change_nothing(hub: HubServer, api: HfApi) -> None:
    hub.add_repo("team/classifier", files=classifier())
    calm = find_candidates(CandidateQuery(), api=api)
    hub.add_fault(Fault("status", match="/api/models", status=429, headers={"Retry-After": "0"}))
    hub.add_fault(Fault("cut", match="/api/models"))
    assert find_candidates(CandidateQuery(), api=api) == calm


def test_authors_and_search_are_asked_of_the_hub(hub: HubServer, api: HfApi) -> None:
    for name in ("one/resnet-18", "one/vit", "two/resnet-50", "three/resnet-101"):
        hub.add_repo(name, files=classifier())
    found = find_candidates(CandidateQuery(authors=("one", "two"), search="resnet"), api=api)
    assert {entry.id for entry in found.candidates} == {"one/resnet-18", "two/resnet-50"}
    assert found.n_listed == 2


@pytest.mark.parametrize("sort", ["downloads", "likes", "last_modified"])
def test_the_best_by_the_sort_are_kept(hub: HubServer, api: HfApi, sort: str) -> None:
    # Each of three is the first by one of the three keys.
    hub.add_repo("a/downloads", files=classifier(), downloads=9, likes=1, last_modified="2024-01-01T00:00:00.000Z")
    hub.add_repo("a/likes", files=classifier(), downloads=1, likes=9, last_modified="2024-01-01T00:00:00.000Z")
    hub.add_repo("a/last_modified", files=classifier(), downloads=1, likes=1, last_modified="2026-01-01T00:00:00.000Z")
    for max_listed in (1, 1000):
        found = find_candidates(CandidateQuery(sort=sort, limit=1, max_listed=max_listed), api=api)
        assert [entry.id for entry in found.candidates] == [f"a/{sort}"]
