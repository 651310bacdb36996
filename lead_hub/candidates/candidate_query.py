"""Which of the Hub's models are asked for."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import NoReturn

from lead_hub.candidates.model_index import JsonValue
from lead_hub.errors import CandidateError

SORTS = ("downloads", "likes", "last_modified")
LIBRARIES = ("transformers", "timm")  # what lead-hub loads
PERMISSIVE = "permissive"
# The Hub's identifiers (SPDX's in lower case, beside its own "bsd" and "pddl") of licences that let everybody use,
# change and sell a work, and ask for no more than that its authors are named.
PERMISSIVE_LICENCES = frozenset(
    {
        *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "zlib", "ncsa"),
        *("unlicense", "0bsd", "postgresql", "bsl-1.0", "ecl-2.0", "afl-3.0", "wtfpl"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "pddl"),
    }
)
UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


@dataclass(frozen=True)
class CandidateQuery:
    """What to list and what of it to keep.

    Attributes:
        pipeline_tags: the Hub's tasks to list.
        libraries: "transformers", "timm" or both.
        max_parameters: a model with more weights, or of unknown size, is left out.
        min_downloads: of the last 30 days.
        licences: identifiers of the Hub, "permissive" for PERMISSIVE_LICENCES, which ask for no more than a notice;
            None accepts every licence and none.
        authors: users or organisations; empty means everybody.
        search: text that an id must contain.
        families: e.g. ("resnet", "dinov2"); empty means all.
        exclude: patterns of ids to leave out, e.g. ("someone/*",); letter case does not count.
        limit: most candidates to keep.
        sort: "downloads", "likes" or "last_modified", the highest first: which to list, and which to keep.
        max_listed: most models to look at for each pipeline tag, library and author.
        allow_pickle: accept weights that are only there as a pickle.
        copies: keep all fine-tuned copies of one base, not one of them.

    Raises:
        CandidateError: a value that cannot be asked for.
    """

    pipeline_tags: tuple[str, ...] = ("image-classification", "image-feature-extraction")
    libraries: tuple[str, ...] = LIBRARIES
    max_parameters: int | None = None
    min_downloads: int = 0
    licences: tuple[str, ...] | None = None
    authors: tuple[str, ...] = ()
    search: str | None = None
    families: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int = 100
    sort: str = "downloads"
    max_listed: int = 1000
    allow_pickle: bool = False
    copies: bool = False

    def __post_init__(self) -> None:
        for name in ("pipeline_tags", "libraries", "licences", "authors", "families", "exclude"):
            check_texts(name, getattr(self, name))
        if not self.pipeline_tags or not self.libraries:
            refuse("at least one pipeline tag and one library must be given, found none")
        check_licences(self.licences)
        if unknown := sorted(set(self.libraries) - set(LIBRARIES)):
            refuse(f"libraries must be among {', '.join(LIBRARIES)}, found {', '.join(unknown)}")
        if self.sort not in SORTS:
            refuse(f"sort must be one of {', '.join(SORTS)}, found {self.sort!r}")
        for name, least in (("max_parameters", 1), ("min_downloads", 0), ("limit", 1), ("max_listed", 1)):
            check_number(name, getattr(self, name), least)

    @property
    def allowed_licences(self) -> frozenset[str] | None:
        """Every licence that is accepted, in lower case; None for all."""
        return allowed_licences(self.licences)

    def to_json(self) -> dict[str, JsonValue]:
        """Give the settings that differ from the defaults, as JSON values."""
        defaults = {field.name: field.default for field in fields(self)}
        chosen = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


def allowed_licences(licences: Iterable[str] | None) -> frozenset[str] | None:
    """Every licence that is meant, in lower case and with "permissive" spelled out; None for all."""
    if licences is None:
        return None
    named = {licence.lower() for licence in licences}
    return frozenset(named - {PERMISSIVE}) | (PERMISSIVE_LICENCES if PERMISSIVE in named else frozenset())


def check_texts(name: str, value: object) -> None:
    """Raise unless it is None or a tuple of texts."""
    if value is not None and not (isinstance(value, tuple) and all(isinstance(v, str) and v for v in value)):
        refuse(f"{name} must be a tuple of texts that are not empty, found {value!r}")


def check_licences(licences: tuple[str, ...] | None) -> None:
    """Raise where no licence at all would be accepted."""
    if licences == ():
        refuse("licences must name at least one licence, or be None for any, found none")


def check_number(name: str, value: int | None, least: int) -> None:
    """Raise where a number is too small."""
    if value is not None and value < least:
        refuse(f"{name} must be {least} or more, found {value}")


def parse_count(text: str) -> int:
    """A number of parameters as people write it: "100M" -> 100000000, "1.5B", "25_000".

    Raises:
        CandidateError: no such number.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB]?)", text.strip().replace("_", "").upper())
    if match is None:
        refuse(f'a number of parameters must be written like "100M", "1.5B" or "25000000", found {text!r}')
    return round(float(match[1]) * UNITS[match[2]])


def refuse(what: str) -> NoReturn:
    raise CandidateError(what, stage="find")
