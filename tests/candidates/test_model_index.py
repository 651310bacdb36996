"""model_index.json: written and read back, a bad file named by line and key, and which index is the default."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from lead_hub.candidates.model_index import (
    IndexEntry,
    LeftOut,
    ModelIndex,
    default_model_index,
    read_model_index,
    shipped_model_index,
    user_model_index,
    write_model_index,
)
from lead_hub.errors import CandidateError, LeadHubError

SHA = "0123456789abcdef0123456789abcdef01234567"
ALL_FACTS = IndexEntry(
    "org/a",
    sha=SHA,
    library="transformers",
    architecture="ViTModel",
    model_type="vit",
    family="vit",
    pipeline_tag="image-feature-extraction",
    parameters=5,
    weight_format="safetensors",
    weight_bytes=20,
    licence="apache-2.0",
    gated="auto",
    downloads=7,
    likes=0,
    last_modified="2026-01-02T03:04:05+00:00",
    base_model="org/base",
    datasets=("org/pets",),
    base_datasets=("imagenet-1k", "imagenet-21k"),
    imagenet_top1_percent=80.25,
    pretraining="DINO, «self-supervised»",
    pretraining_kind="self-supervised",
    multiply_adds=4_089_000_000,
    chosen_for=("default", "best"),
)


def write_index(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"what": "test", "schema_version": 1, "candidates": []} | changes), encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    index = ModelIndex(
        (ALL_FACTS, IndexEntry("org/b", gated=False)),
        left_out=(LeftOut("org/c", "pickle only", "pytorch_model.bin"), LeftOut("org/d", "gated")),
        hub="https://hub.example",
        crawled="2026-01-02",
        query={"limit": 3, "libraries": ["timm"]},
    )
    path = tmp_path / "new" / "index.json"
    write_model_index(path, index)
    assert read_model_index(path) == index
    assert [file.name for file in path.parent.iterdir()] == ["index.json"]
    write_model_index(path, ModelIndex())
    assert read_model_index(path) == ModelIndex()


def test_one_candidate_a_line(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    write_model_index(path, ModelIndex((IndexEntry("org/a", parameters=5), IndexEntry("org/b"))))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert '    {"id": "org/a", "sha": null, "parameters": 5},' in lines
    assert '    {"id": "org/b", "sha": null}' in lines


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LeadHubError, match=r"index\.json must be written to"):
        write_model_index(tmp_path / "file" / "index.json", ModelIndex())


def test_the_smallest_index(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text('{"schema_version": 1, "candidates": [{"id": "org/a", "sha": null, "licence": null}]}')
    assert read_model_index(path) == ModelIndex((IndexEntry("org/a"),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": {}}, 'a list under the key "candidates"'),
        ({"schema_version": 2}, '"schema_version" must be 1, found 2'),
        ({"candidates": [{"id": "org/a"}, {"sha": None}]}, r'"candidates"\[1\] must have an "id"'),
        ({"candidates": [{"id": ""}]}, r'"candidates"\[0\] must have an "id"'),
        ({"candidates": [{"id": "org/a", "sha": "main"}]}, r"key 'sha': must be 40 hex digits .* 'main' \(org/a\)"),
        ({"candidates": [{"id": "org/a", "parameters": "5M"}]}, "key 'parameters': must be int or null, found '5M'"),
        ({"candidates": [{"id": "org/a", "parameters": True}]}, "key 'parameters': must be int or null, found True"),
        ({"candidates": [{"id": "org/a", "parameters": -1}]}, "key 'parameters': must be 0 or more, found -1"),
        ({"candidates": [{"id": "org/a", "colour": "red"}]}, "unknown key 'colour'"),
        ({"candidates": [{"id": "org/a", "datasets": "pets"}]}, "key 'datasets': must be list or null"),
        ({"candidates": [{"id": "org/a", "datasets": [5]}]}, "key 'datasets': must be a list of texts"),
        ({"candidates": [{"id": "org/a", "gated": True}]}, "key 'gated': must be false, 'auto', 'manual' or null"),
        ({"candidates": [{"id": "org/a", "weight_format": "gguf"}]}, "key 'weight_format': must be 'safetensors'"),
        ({"candidates": [{"id": "org/a", "imagenet_top1_percent": 101}]}, "must be between 0 and 100, found 101"),
        ({"candidates": [{"id": "a", "imagenet_top1_percent": float("nan")}]}, "must be between 0 and 100, found nan"),
        ({"candidates": [{"id": "org/a", "last_modified": "May"}]}, "key 'last_modified': must be an ISO 8601 time"),
        ({"candidates": [{"id": "org/a", "multiply_adds": -1}]}, "key 'multiply_adds': must be 0 or more, found -1"),
        (
            {"candidates": [{"id": "org/a", "pretraining_kind": "dino"}]},
            "key 'pretraining_kind': must be one of super",
        ),
        (
            {"candidates": [{"id": "a", "chosen_for": ["worst"]}]},
            "'chosen_for': must be made of default, best, found",
        ),
        ({"candidates": [{"id": "a", "chosen_for": "best"}]}, "'chosen_for': must be list or null, found 'best'"),
        ({"candidates": ["org/a"]}, r'"candidates"\[0\] must be an object'),
        ({"crawled": "yesterday"}, "key 'crawled': must be a day"),
        ({"query": []}, "key 'query': must be dict or null"),
        ({"left_out": [{"id": "org/a"}]}, r'"left_out"\[0\] must have "reason"'),
    ],
)
def test_a_bad_index_names_file_and_key(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write_index(tmp_path / "index.json", **changes)
    with pytest.raises(CandidateError, match=message) as caught:
        read_model_index(path)
    assert "index.json" in str(caught.value)
    assert caught.value.stage == "find"


# Strings with all that could be taken for structure, and a tab, before the bad value on line 10.
TRICKY = """{
  "schema_version": 1,
  "query": {"search": "a \\"}],:{[ b", "deep": [[1, {"x": []}], {}]},
  "candidates": [
    {"id": "org/\\\\", "sha": null, "datasets": []},

\t{"\\u0069d": "org/b",
     "licence": "mit",
     "parameters":
        "5M"}
  ]
}
"""


def test_the_line_of_a_bad_value(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text(TRICKY)
    with pytest.raises(CandidateError, match=r"line 10, key 'parameters': must be int or null, found '5M'"):
        read_model_index(path)
    path.write_text(TRICKY.replace('"5M"', "5").replace('"org/b"', "7"))
    with pytest.raises(CandidateError, match=r"line 7, key 'id': must be str, found 7"):
        read_model_index(path)
    path.write_text(TRICKY.replace('"5M"', "5").replace('"parameters"', '"weights"'))
    with pytest.raises(CandidateError, match=r"line 10, key 'weights': unknown key"):
        read_model_index(path)
    path.write_text(TRICKY.replace('"id": "org/\\\\"', '"sha": null'))
    with pytest.raises(CandidateError, match=r'line 5: "candidates"\[0\] must have an "id"'):
        read_model_index(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"what": "x",\n]', "line 3: must be readable JSON"),
        (b"\xff", "must be readable JSON"),
        (b"[" * 10**6, "JSON"),
    ],
)
def test_an_index_that_is_not_json(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(CandidateError, match=message):
        read_model_index(path)


@pytest.fixture
def own_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the user's own index would be, of a user who has none."""
    monkeypatch.delenv("LEAD_HUB_MODEL_INDEX", raising=False)
    path = user_model_index()
    assert not path.exists()
    yield path
    path.unlink(missing_ok=True)


def test_the_default_is_the_users_own_index_of_this_hub(own_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_model_index() == shipped_model_index()
    write_model_index(own_index, ModelIndex((IndexEntry("org/a"),), hub="https://elsewhere.example"))
    assert default_model_index() == shipped_model_index()
    write_model_index(own_index, ModelIndex((IndexEntry("org/a"),), hub=constants.ENDPOINT))
    assert default_model_index() == own_index
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", "other.json")
    assert default_model_index() == Path("other.json")
