"""What the test Hub derives from a model's files, and how its listings filter, sort and page."""

import json
import struct

import pytest
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import save

from tests.loopback_hub.server import HubServer

VIT = json.dumps({"architectures": ["ViTForImageClassification"], "model_type": "vit", "hidden_size": 8}).encode()
TIMM = b'{"architecture": "resnet50"}'
CARD = b"""---
license: apache-2.0
base_model: google/vit
datasets: [imagenet-1k]
tags: [vision]
---
"""


def ids(models: object) -> list[str]:
    return [model.id for model in models]


@pytest.fixture
def pool(hub: HubServer) -> HubServer:
    """Four models, one of them private and one gated, and a dataset."""
    small, large = (save({"w": torch.zeros(n), "n": torch.zeros(2, dtype=torch.int64)}) for n in (10, 3000))
    files = {"README.md": CARD, "config.json": VIT, "model.safetensors": small, "preprocessor_config.json": b"{}"}
    hub.add_repo("org/vit", files=files, downloads=5, tags=("extra",))
    hub.add_repo(
        "org/large", files={"config.json": VIT, "model.safetensors": large}, downloads=7, likes=1, gated="manual"
    )
    hub.add_repo("timm/resnet", files={"config.json": TIMM, "pytorch_model.bin": b"\0" * 9}, downloads=9)
    hub.add_repo("org/private", files={"config.json": VIT}, private=True, downloads=8)
    hub.add_repo(
        "org/pets", kind="dataset", files={"README.md": b"---\ntask_categories: [image-classification]\n---\n"}
    )
    return hub


def test_facts_come_from_the_files(pool: HubServer) -> None:
    keys = ["safetensors", "config", "tags", "cardData", "baseModels", "library_name", "pipeline_tag", "sha"]
    keys += ["transformersInfo", "siblings", "gated", "usedStorage"]
    listed = {model.id: model for model in HfApi().list_models(expand=keys)}
    vit, timm = listed["org/vit"], listed["timm/resnet"]
    assert (vit.safetensors.parameters, vit.safetensors.total) == ({"F32": 10, "I64": 2}, 12)
    assert vit.config == {"architectures": ["ViTForImageClassification"], "model_type": "vit"}
    assert (vit.library_name, vit.pipeline_tag) == ("transformers", "image-classification")
    assert {"safetensors", "vision", "extra", "license:apache-2.0", "dataset:imagenet-1k"} <= set(vit.tags)
    assert {"base_model:google/vit", "base_model:finetune:google/vit"} <= set(vit.tags)
    assert vit.card_data.datasets == ["imagenet-1k"]
    assert vit.base_models == {"relation": "finetune", "models": [{"id": "google/vit"}]}
    assert vit.transformers_info.auto_model == "AutoModelForImageClassification"
    assert vit.transformers_info.processor == "AutoImageProcessor"
    assert vit.sha == pool.repo("org/vit").head
    assert [sibling.rfilename for sibling in vit.siblings] == sorted(pool.repo("org/vit").files_at())
    assert vit.used_storage == sum(len(content) for content in pool.repo("org/vit").files_at().values())
    assert vit.downloads is None  # not asked for
    assert (timm.library_name, timm.pipeline_tag) == ("timm", "image-classification")
    assert (timm.safetensors, timm.base_models) == (None, None)
    assert "pytorch" in timm.tags
    assert listed["org/large"].gated == "manual"


def test_shards_are_counted_together(hub: HubServer) -> None:
    """Headers alone, as the Hub reads them; the third file belongs to no index."""
    shards = {f"model-{n}.safetensors": {"w": {"dtype": "BF16", "shape": [n, 5]}} for n in (1, 2, 3)}
    headers = {path: json.dumps(header).encode() for path, header in shards.items()}
    files = {path: struct.pack("<Q", len(header)) + header for path, header in headers.items()}
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    hub.add_repo("org/sharded", files=files)
    hub.add_repo("org/damaged", files={"model.safetensors": b"\x09\0\0\0\0\0\0\0{no json}"})
    api = HfApi()
    assert api.model_info("org/sharded").safetensors.parameters == {"BF16": 1 * 5 + 2 * 5}
    assert api.model_info("org/damaged").safetensors is None


def test_remote_code_and_quantisation_show(hub: HubServer) -> None:
    config = {"auto_map": {"AutoModel": "m.M"}, "quantization_config": {"quant_method": "gptq"}, "other": 1}
    hub.add_repo("org/own", files={"config.json": json.dumps(config).encode(), "w.gguf": b"GGUF\0", "w.onnx": b"\0"})
    info = HfApi().model_info("org/own")
    assert {"custom_code", "gguf", "onnx"} <= set(info.tags)
    assert info.config == {key: config[key] for key in ("auto_map", "quantization_config")}


def test_filters_must_all_hold(pool: HubServer) -> None:
    api = HfApi(token=pool.add_user("ann", orgs=("org",)))
    assert set(ids(api.list_models())) == {"org/vit", "org/large", "org/private", "timm/resnet"}
    assert set(ids(HfApi().list_models())) == {"org/vit", "org/large", "timm/resnet"}
    assert set(ids(api.list_models(author="org", gated=False))) == {"org/vit", "org/private"}
    assert ids(api.list_models(gated=True)) == ["org/large"]
    assert ids(api.list_models(search="RESNET")) == ["timm/resnet"]
    assert ids(api.list_models(filter=["transformers", "license:apache-2.0"])) == ["org/vit"]
    assert ids(api.list_models(filter=["timm", "license:apache-2.0"])) == []
    assert ids(api.list_models(trained_dataset="imagenet-1k")) == ["org/vit"]
    classifiers = api.list_models(pipeline_tag="image-classification", author="org")
    assert set(ids(classifiers)) == {"org/vit", "org/large", "org/private"}
    # 12 and 3,002 parameters; those of the other two are unknown.
    assert ids(api.list_models(num_parameters="max:1K")) == ["org/vit"]
    assert ids(api.list_models(num_parameters="min:0.5K,max:1M")) == ["org/large"]
    assert ids(api.list_datasets(filter="task_categories:image-classification")) == ["org/pets"]


def test_largest_first(pool: HubServer) -> None:
    assert ids(HfApi().list_models(sort="downloads")) == ["timm/resnet", "org/large", "org/vit"]
    assert ids(HfApi().list_models(sort="downloads", limit=2)) == ["timm/resnet", "org/large"]
    assert ids(HfApi().list_models(sort="likes", limit=1)) == ["org/large"]
    pool.commit("org/vit", files={"new.txt": b"new"})
    latest = HfApi().list_models(sort="last_modified", limit=1)
    assert ids(latest) == ["org/vit"]


def test_pages_follow_each_other(hub: HubServer) -> None:
    for number in range(25):
        hub.add_repo(f"org/m{number:02}", files={}, downloads=number)
    hub.page_size = 10
    api = HfApi()
    expected = [f"org/m{number:02}" for number in range(24, -1, -1)]
    assert ids(api.list_models(author="org", sort="downloads", expand=["sha"])) == expected
    assert len(hub.requests) == 3
    assert [request.query.get("cursor") for request in hub.requests] == [None, ["10"], ["20"]]
    hub.requests.clear()
    assert ids(api.list_models(sort="downloads", limit=12)) == expected[:12]
    assert len(hub.requests) == 2


def test_what_may_be_expanded(pool: HubServer) -> None:
    api = HfApi()
    with pytest.raises(HfHubHTTPError) as caught:
        list(api.list_models(expand=["sha", "nonsense"]))
    assert caught.value.response.status_code == 400
    pool.refused_expand = {"baseModels"}
    with pytest.raises(HfHubHTTPError, match="baseModels"):
        list(api.list_models(expand=["sha", "baseModels"]))
    assert api.model_info("org/vit", expand=["baseModels"]).base_models["models"] == [{"id": "google/vit"}]


def test_full_listings(pool: HubServer) -> None:
    (vit,) = HfApi().list_models(search="vit", full=True, fetch_config=True, cardData=True)
    assert (vit.sha, vit.config["model_type"], vit.card_data.license) == (
        *(pool.repo("org/vit").head, "vit", "apache-2.0"),
    )
    (short,) = HfApi().list_models(search="vit")
    assert (short.sha, short.config, short.card_data, short.downloads) == (None, None, None, 5)
