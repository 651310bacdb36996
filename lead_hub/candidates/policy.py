"""Which listed models are left out, and why. What passes should load; where the listing is silent, it may pass."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.listed_models import ListedModel
from lead_hub.candidates.model_families import IMAGE_ENCODERS, OTHER_CLASSES, OTHER_TASKS
from lead_hub.candidates.model_index import IndexEntry, LeftOut

# The reasons, as they are counted. The rest of the text of a LeftOut is its detail.
EXCLUDED = "excluded"
PRIVATE = "private"
GATED = "gated"
REMOTE_CODE = "needs remote code"
NOT_AN_ENCODER = "not an image encoder"
QUANTISED = "quantised"
GGUF_ONLY = "GGUF only"
ONNX_ONLY = "ONNX only"
PICKLE_ONLY = "pickle only"
NO_WEIGHTS = "no weights"
NO_CONFIG = "no config.json"
NO_PROCESSOR = "no image processor"
NOT_CHOSEN = "not among those chosen"
OTHER_FAMILY = "family not asked for"
OTHER_PRETRAINING = "pretraining not asked for"
TOO_LARGE = "too large"
UNKNOWN_SIZE = "size unknown"
TOO_SLOW = "too many operations"
UNKNOWN_COST = "operations unknown"
LICENCE = "licence not allowed"
FEW_DOWNLOADS = "few downloads"
COPY = "copy"
BEYOND_LIMIT = "beyond the limit"
GONE = "gone"

# Names of image processor settings; timm's stand in config.json.
PROCESSORS = frozenset({"preprocessor_config.json", "processor_config.json"})
PICKLE_ENDS = (".bin", ".pt", ".pth", ".ckpt")


def why_not(model: ListedModel, query: CandidateQuery) -> LeftOut | None:
    """The first reason to leave a model out, None if there is none."""
    for check in (
        why_not_wanted,
        why_not_open,
        why_not_encoder,
        why_not_complete,
        why_not_loadable,
        why_not_in_bounds,
    ):
        if found := check(model, query):
            return found
    return None


def why_not_wanted(model: ListedModel, query: CandidateQuery) -> LeftOut | None:
    """The user's query excludes the model by its id."""
    for pattern in query.exclude:
        if fnmatchcase(model.entry.id.lower(), pattern.lower()):
            return LeftOut(model.entry.id, EXCLUDED, f"by {pattern}")
    return None


def why_not_open(model: ListedModel, _query: CandidateQuery) -> LeftOut | None:
    """The model may not be downloaded by everybody."""
    if model.private:
        return LeftOut(model.entry.id, PRIVATE)
    if model.entry.gated:
        return LeftOut(model.entry.id, GATED, f"access is granted: {model.entry.gated}")
    return None


def why_not_encoder(model: ListedModel, _query: CandidateQuery) -> LeftOut | None:
    """The model does not turn one image into one description of it, or only by code that lead-hub never runs."""
    model_type, architecture = model.entry.model_type, model.entry.architecture
    if model.remote_code and model_type not in IMAGE_ENCODERS:
        return LeftOut(model.entry.id, REMOTE_CODE, f"model_type {model_type}")
    for end, task in OTHER_CLASSES.items():
        if (architecture or "").endswith(end):
            return LeftOut(model.entry.id, NOT_AN_ENCODER, f"{task}: {architecture}")
    if model_type is None and model.entry.library == "timm":
        return None
    if model_type not in IMAGE_ENCODERS:
        task = OTHER_TASKS.get(model_type or "", "not a known vision model")
        return LeftOut(model.entry.id, NOT_AN_ENCODER, f"{task}: model_type {model_type}")
    return None


def why_not_complete(model: ListedModel, _query: CandidateQuery) -> LeftOut | None:
    """The repository holds no model by itself, or not the one that was trained."""
    if model.quantised:
        return LeftOut(model.entry.id, QUANTISED)
    if model.files is not None and "config.json" not in model.files:
        return LeftOut(model.entry.id, NO_CONFIG)
    if model.files is not None and "adapter_config.json" in model.files:
        return LeftOut(model.entry.id, NO_WEIGHTS, "an adapter: merge it into its base model")
    return None


def why_not_loadable(model: ListedModel, query: CandidateQuery) -> LeftOut | None:
    """The model's files are not of a kind that is read."""
    if model.entry.weight_format is None:
        return without_format(model)
    if model.entry.weight_format == "pickle" and not query.allow_pickle:
        return LeftOut(model.entry.id, PICKLE_ONLY)
    in_config = model.entry.library == "timm" or model.entry.model_type == "timm_wrapper"
    if model.files is not None and not in_config and not PROCESSORS & set(model.files):
        return LeftOut(model.entry.id, NO_PROCESSOR, "no preprocessor_config.json")
    return None


def without_format(model: ListedModel) -> LeftOut | None:
    """Why a model without weights that transformers reads is left out: what it has instead."""
    files = model.files or ()
    if "gguf" in model.tags or any(name.endswith(".gguf") for name in files):
        return LeftOut(model.entry.id, GGUF_ONLY)
    if "onnx" in model.tags or any(name.endswith(".onnx") for name in files):
        return LeftOut(model.entry.id, ONNX_ONLY)
    if model.files is None:
        return None  # nothing is known yet; the files are asked for before it is kept
    if pickles := [name for name in files if name.endswith(PICKLE_ENDS)]:
        return LeftOut(model.entry.id, PICKLE_ONLY, ", ".join(pickles[:3]))
    others = [name for name in files if not name.endswith("config.json")]
    return LeftOut(model.entry.id, NO_WEIGHTS, f"found only {', '.join(others[:3])}" if others else "")


def why_not_in_bounds(model: ListedModel, query: CandidateQuery) -> LeftOut | None:
    """The model is outside of what the query asks for."""
    entry = model.entry
    found = (
        why_not_family(entry, query.families)
        or why_not_size(entry, query.max_parameters)
        or why_not_licence(entry, query.allowed_licences)
    )
    if found:
        return found
    downloads = entry.downloads or 0
    if downloads < query.min_downloads:
        return LeftOut(entry.id, FEW_DOWNLOADS, f"{downloads} of {query.min_downloads}")
    return None


def why_not_family(entry: IndexEntry, families: Sequence[str]) -> LeftOut | None:
    """The model is of another family than is asked for; none means all."""
    names = {name.lower() for name in (entry.family, entry.model_type) if name}
    if families and not names & {family.lower() for family in families}:
        return LeftOut(entry.id, OTHER_FAMILY, entry.family or "unknown")
    return None


def why_not_size(entry: IndexEntry, max_parameters: int | None) -> LeftOut | None:
    """The model is larger than is asked for, or perhaps so."""
    if max_parameters is None:
        return None
    if entry.parameters is None:
        return LeftOut(entry.id, UNKNOWN_SIZE, "its number of parameters is not known")
    if entry.parameters > max_parameters:
        return LeftOut(entry.id, TOO_LARGE, f"{entry.parameters} parameters of {max_parameters}")
    return None


def why_not_chosen(entry: IndexEntry, chosen_for: str | None) -> LeftOut | None:
    """The model is none of those that the index's curators chose for this."""
    if chosen_for is None or chosen_for in entry.chosen_for:
        return None
    return LeftOut(entry.id, NOT_CHOSEN, f"for {chosen_for}")


def why_not_pretraining(entry: IndexEntry, kinds: Sequence[str]) -> LeftOut | None:
    """The model learnt from something else than is asked for; none means anything."""
    if not kinds or entry.pretraining_kind in kinds:
        return None
    return LeftOut(entry.id, OTHER_PRETRAINING, entry.pretraining_kind or "unknown")


def why_not_cost(entry: IndexEntry, max_multiply_adds: int | None) -> LeftOut | None:
    """The model takes more operations for one image than is asked for, or perhaps so."""
    if max_multiply_adds is None:
        return None
    if entry.multiply_adds is None:
        return LeftOut(entry.id, UNKNOWN_COST, "its number of multiply-adds is not known")
    if entry.multiply_adds > max_multiply_adds:
        return LeftOut(entry.id, TOO_SLOW, f"{entry.multiply_adds} multiply-adds of {max_multiply_adds}")
    return None


def why_not_licence(entry: IndexEntry, allowed: frozenset[str] | None) -> LeftOut | None:
    """The model is under a licence that is not asked for, or perhaps so; of several, all must be."""
    named = {licence.lower() for licence in (entry.licence or "").split(", ") if licence}
    if allowed is None or (named and named <= allowed):
        return None
    return LeftOut(entry.id, LICENCE, entry.licence or "names none")
