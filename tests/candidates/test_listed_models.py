"""What the Hub says of a model, in all the shapes it has been seen to say it, as one record."""

import json

import pytest
from huggingface_hub import ModelInfo

from lead_hub.candidates.listed_models import from_json, listed_model, to_json


def test_a_model_of_which_nothing_is_said() -> None:
    model = listed_model(ModelInfo(id="org/a"))
    assert (model.entry.id, model.files, model.base_models) == ("org/a", None, ())
    assert [value for value in vars(model.entry).values() if value not in (None, ())] == ["org/a"]


@pytest.mark.parametrize(
    "facts",
    [
        {"baseModels": ["up/base"]},
        {"baseModels": [{"id": "up/base"}]},
        {"baseModels": {"relation": "finetune", "models": [{"_id": "5", "id": "up/base"}]}},
        {"cardData": {"base_model": "up/base"}},
        {"cardData": {"base_model": ["up/base", None]}},
        {"tags": ["base_model:up/base", "base_model:finetune:up/base"]},
        {"tags": ["base_model:up/base"], "baseModels": {"models": None}},
    ],
)
def test_bases_are_told_in_many_ways(facts: dict[str, object]) -> None:
    assert listed_model(ModelInfo(id="org/a", **facts)).base_models == ("up/base",)


def test_no_model_is_its_own_base() -> None:
    assert listed_model(ModelInfo(id="org/a", cardData={"base_model": "org/a"})).base_models == ()


@pytest.mark.parametrize(
    ("facts", "licence"),
    [
        ({"cardData": {"license": "mit"}}, "mit"),
        ({"cardData": {"license": ["mit", "apache-2.0"]}}, "mit, apache-2.0"),
        ({"cardData": {"license": {"name": "mine"}}}, None),
        ({"tags": ["license:mit"]}, "mit"),
        ({}, None),
    ],
)
def test_licences(facts: dict[str, object], licence: str | None) -> None:
    assert listed_model(ModelInfo(id="org/a", **facts)).entry.licence == licence


def test_datasets_of_card_and_tags_count_once() -> None:
    info = ModelInfo(id="org/a", cardData={"datasets": ["up/a", 5]}, tags=["dataset:up/a", "dataset:up/b", "b"])
    assert listed_model(info).entry.datasets == ("up/a", "up/b")


@pytest.mark.parametrize(
    ("numbers", "size_bytes"),
    [
        ({"F64": 1, "F32": 2, "F16": 3, "BF16": 4, "I64": 5, "U8": 6}, 8 + 2 * 4 + 3 * 2 + 4 * 2 + 5 * 8 + 6),
        ({"F32": 2, "NEW": 1}, None),
        ({}, None),
    ],
)
def test_size_of_the_weights(numbers: dict[str, int], size_bytes: int | None) -> None:
    info = ModelInfo(id="org/a", safetensors={"parameters": numbers, "total": sum(numbers.values())})
    assert listed_model(info).entry.weight_bytes == size_bytes


@pytest.mark.parametrize(
    ("tags", "quantised"),
    [
        (["8-bit"], True),
        (["base_model:quantized:up/base"], True),
        (["base_model:finetune:up/base", "vision"], False),
    ],
)
def test_tags_of_quantised_models(tags: list[str], quantised: bool) -> None:
    assert listed_model(ModelInfo(id="org/a", tags=tags)).quantised is quantised


def test_integer_buffers_do_not_make_a_model_quantised() -> None:
    few = ModelInfo(id="org/a", safetensors={"parameters": {"F32": 10, "U8": 3}, "total": 13})
    assert not listed_model(few).quantised


def test_a_timm_name_tells_its_architecture_where_the_config_does_not() -> None:
    known = listed_model(ModelInfo(id="timm/resnet50.a1_in1k", library_name="timm")).entry
    assert (known.architecture, known.family) == ("resnet50", "resnet")
    unknown = listed_model(ModelInfo(id="org/my-model", library_name="timm")).entry
    assert (unknown.architecture, unknown.family) == (None, None)


def test_the_record_survives_json() -> None:
    info = ModelInfo(
        id="org/a",
        sha="0" * 40,
        gated="auto",
        lastModified="2026-01-02T03:04:05.678Z",
        config={"architectures": ["ViTModel"], "model_type": "vit", "auto_map": {}},
        siblings=[{"rfilename": "model.safetensors"}, {"rfilename": "photo.png"}],
        tags=["safetensors", "base_model:up/base"],
    )
    model = listed_model(info)
    assert model.files == ("model.safetensors",)
    assert model.entry.last_modified == "2026-01-02T03:04:05+00:00"
    assert from_json(json.loads(json.dumps(to_json(model)))) == model
