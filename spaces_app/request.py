"""What a visitor asks for, as plain values: made of the page's inputs or of a link, checked before anything runs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from urllib.parse import urlencode

from lead_hub.candidates import PRESETS, CandidateQuery, CandidateSource, IndexQuery
from lead_hub.demo import TARGETS, pool, target_folder
from lead_hub.errors import CandidateError, DatasetError, LeadHubError
from lead_hub.recommendation import AUTO, can_race, parse_race_budget
from lead_hub.transferability import SCORES

DEMO = "demo:"  # what a dataset of the demo is called; no Hub id has a colon
SOURCES = ("index", "hub", "own", "demo")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
CHECKPOINT = re.compile(rf"{HUB_ID.pattern}(@[\w./-]+)?", re.ASCII)
MOST_OWN = 200
FEWEST_IMAGES, MOST_IMAGES = 4, 20_000
FULL_RUN = "none"  # no budget


@dataclass(frozen=True)
class RunRequest:
    """One question that a visitor asks, before anything runs.

    Attributes:
        dataset: Hub id, "demo:" and a target of the demo, or on one's own machine a path.
        config: configuration of the dataset.
        split: the split to rank on.
        image_column: column of the images.
        label_column: column of the classes.
        revision: branch, tag or commit of the dataset.
        source: where candidates come from: "index" the curated index, "hub" a search, "own" a list, "demo" the demo.
        max_parameters: most weights of a candidate; of "index" and "hub".
        permissive: whether only candidates with a permissive licence are wanted; of "index" and "hub".
        families: e.g. ("resnet", "vit"), empty for all; of "index" and "hub".
        limit: most candidates; of "index" and "hub".
        own_candidates: Hub ids, with "@revision" if need be; of "own".
        max_images: most images.
        score: name of the score that ranks.
        budget: as `recommend` takes it, or "none" for the full run.
        preset: a key of PRESETS, which the filters above narrow; of "index".
    """

    dataset: str
    config: str | None = None
    split: str = "train"
    image_column: str | None = None
    label_column: str | None = None
    revision: str | None = None
    source: str = "index"
    max_parameters: int | None = None
    permissive: bool = False
    families: tuple[str, ...] = ()
    limit: int | None = None
    own_candidates: tuple[str, ...] = ()
    max_images: int = 2000
    score: str = "lead"
    budget: str = AUTO
    preset: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise CandidateError(f"candidates must come from {', '.join(SOURCES)}, found {self.source!r}", stage="find")
        if not FEWEST_IMAGES <= self.max_images <= MOST_IMAGES:
            raise DatasetError(
                f"a run takes from {FEWEST_IMAGES} to {MOST_IMAGES:,} images, found {self.max_images:,}: for more, call"
                " lead_hub.recommend"
            )
        if len(self.own_candidates) > MOST_OWN:
            raise CandidateError(
                f"a list may name {MOST_OWN} checkpoints, found {len(self.own_candidates)}: split it", stage="find"
            )
        if self.preset not in (None, *PRESETS):
            raise CandidateError(f"a preset must be one of {', '.join(PRESETS)}, found {self.preset!r}", stage="find")
        if self.budget not in (AUTO, FULL_RUN):
            parse_race_budget(self.budget)

    @property
    def is_demo(self) -> bool:
        """Whether the images come with lead-hub."""
        return self.dataset.startswith(DEMO)

    @property
    def run_budget(self) -> str | None:
        """What `recommend` takes for the budget."""
        return None if self.budget == FULL_RUN else self.budget

    @property
    def estimated_budget(self) -> str | None:
        """What `estimate_run` takes: where there can be no race, "auto" is none."""
        may_race = self.budget != AUTO or (self.score in SCORES and can_race((self.score,)))
        return self.run_budget if may_race else None

    def dataset_source(self, *, paths_allowed: bool) -> str | Path:
        """What `recommend` takes for the dataset.

        Args:
            paths_allowed: whether the visitor may name folders of the machine that this runs on.

        Raises:
            DatasetError: nothing is named, no such target of the demo, or a path where only Hub ids are allowed.
        """
        if not self.dataset.strip():  # as a path it would be the folder that the server runs in
            raise DatasetError(f"a dataset must be named, found none: {_ways_to_name(paths_allowed=paths_allowed)}")
        if self.is_demo:
            return target_folder(self.dataset.removeprefix(DEMO))
        if not paths_allowed:
            check_hub_id(self.dataset)
        return self.dataset

    def candidates(self, *, paths_allowed: bool) -> list[CandidateSource]:
        """What `recommend` takes for the candidates.

        Raises:
            CandidateError: an own list without a name or with an empty one, or a path where only Hub ids are allowed.
        """
        if self.source == "demo":
            return [*(pool(self.dataset.removeprefix(DEMO)) if self.is_demo else pool())]
        licences = ("permissive",) if self.permissive else None
        if self.source == "index":
            return [self._of_index(licences)]
        if self.source == "hub":
            query = CandidateQuery(
                max_parameters=self.max_parameters, licences=licences, families=self.families, limit=self.limit or 20
            )
            return [query]
        if not self.own_candidates or not all(name.strip() for name in self.own_candidates):
            raise CandidateError(
                "name at least one checkpoint of your own, one a line, found an empty name or none", stage="find"
            )
        if not paths_allowed:
            for checkpoint in self.own_candidates:
                check_checkpoint_id(checkpoint)
        return [*self.own_candidates]

    def _of_index(self, licences: tuple[str, ...] | None) -> IndexQuery:
        preset = IndexQuery.preset(self.preset) if self.preset else IndexQuery()
        sizes = [size for size in (preset.max_parameters, self.max_parameters) if size is not None]
        return replace(
            preset,
            max_parameters=min(sizes, default=None),
            licences=licences or preset.licences,
            families=self.families,
            limit=self.limit,
        )

    def about_folder(self, name: str) -> "RunRequest":
        """The same question about a folder of that name; a configuration and a revision are the Hub's."""
        return replace(self, dataset=f"./{name}", config=None, revision=None)

    def to_link(self) -> str:
        """The query string of a link to this question: what differs from the defaults."""
        chosen = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                chosen[field.name] = value if isinstance(value, tuple) else str(value)
        return urlencode(chosen, doseq=True)


def from_link(parameters: Iterable[tuple[str, str]]) -> RunRequest | None:
    """The question of a link's parameters; None where they ask for nothing. What is not understood is left out."""
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        given.setdefault(name, []).append(value)
    if "dataset" not in given:
        return None
    values: Mapping[str, object] = {
        field.name: parsed
        for field in fields(RunRequest)
        if field.name in given and (parsed := _parsed(field.name, given[field.name])) is not None
    }
    try:
        return RunRequest(**values)  # type: ignore[arg-type]  # each was parsed as its field's type
    except LeadHubError:
        return RunRequest(dataset=given["dataset"][0])


def _parsed(name: str, texts: list[str]) -> object:
    if name in ("families", "own_candidates"):
        return tuple(texts)
    if name == "permissive":
        return texts[0] == "True"
    if name in ("max_parameters", "limit", "max_images"):
        return int(texts[0]) if texts[0].isascii() and texts[0].isdecimal() and len(texts[0]) <= 12 else None
    return texts[0]


def _ways_to_name(*, paths_allowed: bool) -> str:
    folder = ", the path of a folder of images" if paths_allowed else ""
    return f'give its id on the Hub, such as "my-org/my-dataset"{folder}, or one of {_demos()}'


def _demos() -> str:
    return ", ".join(DEMO + target for target in TARGETS)


def check_hub_id(dataset: str) -> None:
    """On a shared machine a dataset is an id of the Hub, never a path.

    Raises:
        DatasetError: it is none, or a folder of that name would be read instead.
    """
    if not HUB_ID.fullmatch(dataset) or Path(dataset).exists():
        raise DatasetError(
            f'a dataset must be named by its id on the Hub, such as "my-org/my-dataset", or be one of'
            f" {_demos()}, found {dataset[:100]!r}"
        )


def check_checkpoint_id(checkpoint: str) -> None:
    """On a shared machine a checkpoint is an id of the Hub, never a path.

    Raises:
        CandidateError: it is none, or a file or folder of that name would be read instead.
    """
    if not CHECKPOINT.fullmatch(checkpoint) or Path(checkpoint.partition("@")[0]).exists():
        raise CandidateError(
            f'a checkpoint must be named by its id on the Hub, such as "timm/resnet50.a1_in1k", with "@revision" if'
            f" need be, found {checkpoint[:100]!r}",
            stage="find",
        )
