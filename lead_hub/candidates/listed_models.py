"""What a listing of the Hub tells of one model, as a flat record."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timezone

from huggingface_hub import ModelInfo

from lead_hub.candidates.model_families import family_of
from lead_hub.candidates.model_index import IndexEntry, JsonValue

# The dtypes of safetensors. What else there is counts as unknown size.
BYTES_PER_NUMBER = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
# Of a repository's files only these decide anything here; some hold thousands of others.
TELLING_ENDS = (
    *(".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5"),
    *(".gguf", ".onnx", ".msgpack", "config.json"),
)
QUANTISED_TAGS = frozenset(
    {"4-bit", "8-bit", "bitsandbytes", "gptq", "awq", "compressed-tensors", "quantized", "fp8", "nf4", "int8", "int4"}
)
QUANTISED_DTYPES = frozenset({"I8", "U8", "I4", "U4", "F8_E4M3", "F8_E5M2", "F4", "F8_E8M0"})
BASE_RELATIONS = ("finetune", "quantized", "adapter", "merge")


@dataclass(frozen=True)
class ListedModel:
    """What a listing of the Hub tells of one model.

    Attributes:
        entry: what the index keeps of it.
        private: whether only some may see it.
        remote_code: whether it brings code of its own.
        quantised: whether its weights are not plain numbers, as far as the listing tells.
        files: those names that tell how it is stored; None where the listing did not say.
        tags: the Hub's tags that name a format of weights.
        base_models: all that it was made from.
    """

    entry: IndexEntry
    private: bool = False
    remote_code: bool = False
    quantised: bool = False
    files: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()


def listed_model(info: ModelInfo) -> ListedModel:
    """The record of what the client read."""
    tags = tuple(info.tags or ())
    config = mapping(info.config)
    bases = base_models(info, tags)
    files = None if info.siblings is None else telling(file.rfilename for file in info.siblings)
    numbers = info.safetensors.parameters if info.safetensors else {}
    return ListedModel(
        entry=replace(
            named_facts(info, config),
            parameters=info.safetensors.total if info.safetensors else None,
            weight_format=weight_format(files, tags),
            weight_bytes=weight_bytes(numbers),
            licence=licence(info, tags),
            base_model=bases[0] if bases else None,
            datasets=datasets(info, tags),
        ),
        private=bool(info.private),
        remote_code="auto_map" in config or "custom_code" in tags,
        quantised=is_quantised(config, tags, numbers),
        files=files,
        tags=tuple(tag for tag in tags if tag in {"gguf", "onnx", "safetensors", "pytorch"}),
        base_models=bases,
    )


def named_facts(info: ModelInfo, config: Mapping[str, object]) -> IndexEntry:
    """What stands in the listing under a name of its own."""
    names = config.get("architectures")
    architecture = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None
    model_type = text(config.get("model_type"))
    if model_type == "timm_wrapper" or (model_type is None and info.library_name == "timm"):
        # timm's own repositories are named "timm/<architecture>.<pretraining>".
        owner, _, name = info.id.partition("/")
        architecture = text(config.get("architecture")) or (name.partition(".")[0] if owner == "timm" else None)
    modified = info.last_modified
    kin = family_of((architecture if model_type == "timm_wrapper" else model_type or architecture) or "")
    return IndexEntry(
        info.id,
        sha=info.sha,
        library=info.library_name,
        architecture=architecture,
        model_type=model_type,
        family=kin or None,
        pipeline_tag=info.pipeline_tag,
        gated=info.gated,
        downloads=info.downloads,
        likes=info.likes,
        last_modified=modified.astimezone(timezone.utc).isoformat(timespec="seconds") if modified else None,
    )


def with_files(model: ListedModel, info: ModelInfo) -> ListedModel:
    """The model with the file names of a request of its own."""
    files = telling(file.rfilename for file in info.siblings or ())
    return replace(model, files=files, entry=replace(model.entry, weight_format=weight_format(files, model.tags)))


def telling(names: Iterable[str]) -> tuple[str, ...]:
    """The file names that tell how a model is stored."""
    return tuple(sorted(name for name in names if name.endswith(TELLING_ENDS)))


def weight_format(files: tuple[str, ...] | None, tags: tuple[str, ...]) -> str | None:
    """The format that can be loaded: by the names that transformers reads; by the tags where no names are known."""
    safetensors, pickle = "safetensors", "pickle"
    if files is None:
        return safetensors if "safetensors" in tags else pickle if "pytorch" in tags else None
    if {"model.safetensors", "model.safetensors.index.json"} & set(files):
        return safetensors
    return pickle if {"pytorch_model.bin", "pytorch_model.bin.index.json"} & set(files) else None


def weight_bytes(numbers: Mapping[str, int]) -> int | None:
    """Size of safetensors weights from how many numbers there are of each dtype; None if any dtype is unknown."""
    if not numbers or not set(numbers) <= set(BYTES_PER_NUMBER):
        return None
    return sum(count * BYTES_PER_NUMBER[dtype] for dtype, count in numbers.items())


def is_quantised(config: Mapping[str, object], tags: tuple[str, ...], numbers: Mapping[str, int]) -> bool:
    """By its config, its tags, or because most of its numbers are of a dtype that no plain weight has."""
    few_bits = sum(count for dtype, count in numbers.items() if dtype in QUANTISED_DTYPES)
    return (
        bool(config.get("quantization_config"))
        or any(tag in QUANTISED_TAGS or tag.startswith("base_model:quantized:") for tag in tags)
        or few_bits > sum(numbers.values()) / 2
    )


def base_models(info: ModelInfo, tags: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of what it was made from: by the Hub's own list, the card, or the tags "base_model:[relation:]id"."""
    # The Hub has answered with ids, with objects, and with {"relation": ..., "models": [...]}.
    told: object = info.base_models
    told = told.get("models") if isinstance(told, dict) else told
    given = told if isinstance(told, list) else []
    ids = [text(each.get("id")) if isinstance(each, dict) else text(each) for each in given]
    named = card_list(info, "base_model")
    tagged = [tag.removeprefix("base_model:") for tag in tags if tag.startswith("base_model:")]
    for relation in BASE_RELATIONS:
        tagged = [tag.removeprefix(f"{relation}:") for tag in tagged]
    return tuple(dict.fromkeys(each for each in [*ids, *named, *tagged] if each and each != info.id))


def datasets(info: ModelInfo, tags: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of what it was trained on: by the card, then the tags."""
    tagged = [tag.removeprefix("dataset:") for tag in tags if tag.startswith("dataset:")]
    return tuple(dict.fromkeys([*card_list(info, "datasets"), *tagged]))


def licence(info: ModelInfo, tags: tuple[str, ...]) -> str | None:
    """The licence that the card names, or the tags do; several are separated by ", "."""
    named = card_list(info, "license") or [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    return ", ".join(named) or None


def card_list(info: ModelInfo, key: str) -> list[str]:
    """A key of the card's front matter that holds a text or a list of them; strangers write all sorts of things."""
    value = getattr(info.card_data, key, None)
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str) and each]


def mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def to_json(model: ListedModel) -> dict[str, JsonValue]:
    """Give the record as JSON values."""
    return asdict(model)


def from_json(document: Mapping[str, object]) -> ListedModel:
    """Make the record of its JSON values again.

    Raises:
        TypeError: other keys than the record has.
    """
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
    entry = mapping(values.pop("entry", None))
    kept = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return ListedModel(entry=IndexEntry(**kept), **values)  # type: ignore[arg-type]
