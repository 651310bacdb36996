"""Which checkpoints to rank: ids, folders, a text file, `model_index.json`, a query or the demo pool -> Candidates."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from huggingface_hub import HfApi

from lead_hub.candidates.candidate import Candidate
from lead_hub.candidates.candidate_query import CandidateQuery
from lead_hub.candidates.finding import find_candidates
from lead_hub.candidates.index_query import IndexQuery, default_choice, query_index
from lead_hub.candidates.model_index import IndexEntry, read_model_index
from lead_hub.errors import CandidateError
from lead_hub.hub import hub_api

CandidateSource: TypeAlias = str | Path | Candidate | CandidateQuery | IndexQuery


def read_candidates(
    sources: CandidateSource | Iterable[CandidateSource] | None = None, *, api: HfApi | None = None
) -> list[Candidate]:
    """Every candidate that the sources name, each once, in order.

    A source is a Candidate, a Hub id (optionally "@revision"), a checkpoint folder, a folder of checkpoint
    folders, a text file with one of these a line ("#" starts a comment), a model index (`.json`), an IndexQuery, which
    takes a part of one, or a CandidateQuery, which asks the Hub through `api` (None: as whoever is logged in). None
    means `default_choice()`: all of the user's own index after a `lead-hub crawl`, else what the curators of the one
    that comes with the package chose for it.

    Raises:
        CandidateError: a file of candidates that cannot be read, an IndexQuery that leaves nothing, or no candidate at
            all. Whether each one exists is found out only when its turn comes, so that one bad entry never ends a run.
        HubError: a query, and the Hub refuses or cannot be reached.
    """
    if sources is None:
        sources = [default_choice()]
    elif isinstance(sources, (str, Path, Candidate, CandidateQuery, IndexQuery)):
        sources = [sources]
    candidates = list(unique(candidate for source in sources for candidate in expand(source, api)))
    if not candidates:
        raise CandidateError(
            "at least one candidate checkpoint is needed, found none: give Hub ids, checkpoint folders, a text"
            " file with one of them a line, or a model_index.json",
            stage="find",
        )
    return candidates


def expand(source: CandidateSource, api: HfApi | None) -> list[Candidate]:
    """The candidates behind one source, see `read_candidates`."""
    if isinstance(source, Candidate):
        return [source]
    if isinstance(source, (CandidateQuery, IndexQuery)):
        return [from_index(entry) for entry in answer(source, api)]
    path = existing(source)
    if path is None:
        return [named(source)]
    if path.is_dir():
        inner = checkpoint_folders(path)
        return [Candidate(str(folder)) for folder in inner] or [Candidate(str(source))]
    if path.suffix == ".json":
        return [from_index(entry) for entry in read_model_index(path).entries]
    return [candidate for line in read_lines(path) for candidate in expand(line, api)]


def existing(source: str | Path) -> Path | None:
    """The file or folder of that name; None where there is none, or no file can have such a name; "" is no folder."""
    try:
        path = Path(source).expanduser()
        return path if str(source).strip() and (path.is_dir() or path.is_file()) else None
    except PermissionError as error:
        raise CandidateError(
            f"a source of candidates must be readable, found {error}: change its permissions, or leave it out",
            stage="find",
        ) from error
    except (OSError, RuntimeError, ValueError):
        return None


def named(source: str | Path) -> Candidate:
    """The candidate that a text names: a Hub id, perhaps with a revision; whether there is one, its turn will tell."""
    if isinstance(source, Path) or source.endswith((".txt", ".json")):
        raise CandidateError(f"the file of candidates must exist, found nothing at {str(source)!r}", stage="find")
    checkpoint, _, revision = source.strip().partition("@")
    return Candidate(checkpoint, revision=revision or None)


def answer(query: CandidateQuery | IndexQuery, api: HfApi | None) -> tuple[IndexEntry, ...]:
    """What the Hub, or a model index, has for a query."""
    if isinstance(query, IndexQuery):
        return query_index(query).candidates
    return find_candidates(query, api=api or hub_api()).candidates


def from_index(entry: IndexEntry) -> Candidate:
    """The candidate of a model index entry, pinned to its commit where the index has one."""
    return Candidate(
        entry.id,
        revision=entry.sha,
        parameters=entry.parameters,
        licence=entry.licence,
        weight_bytes=entry.weight_bytes,
        imagenet_top1_percent=entry.imagenet_top1_percent,
        downloads=entry.downloads,
        datasets=entry.datasets,
        base_datasets=entry.base_datasets,
        multiply_adds=entry.multiply_adds,
    )


def read_lines(file: Path) -> list[str]:
    """Lines of a text file without comments and blanks; a line may not name another text file."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CandidateError(
            f"a file of candidates must be readable UTF-8 text, one candidate a line; {str(file)!r} is not: {error}",
            stage="find",
        ) from error
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    for number, line in enumerate(lines, start=1):
        if line and (path := existing(line)) and path.is_file():
            raise CandidateError(
                f"{file}, line {number}: each line must be a Hub id or a checkpoint folder, found the file {line!r}",
                stage="find",
            )
    return [line for line in lines if line]


def checkpoint_folders(folder: Path) -> list[Path]:
    """The subfolders that are checkpoints, by name; none of a folder that is a checkpoint itself."""
    try:
        if (folder / "config.json").is_file():
            return []
        return sorted(path.parent for path in folder.glob("*/config.json"))
    except OSError as error:
        raise CandidateError(
            f"a folder of checkpoints must be readable, found {error}: change its permissions, or leave it out",
            stage="find",
        ) from error


def unique(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Each checkpoint and revision once, at its first place; what is known of it comes from there."""
    seen: set[tuple[str, str | None]] = set()
    for candidate in candidates:
        place = str(candidate.folder.resolve()) if candidate.folder else candidate.checkpoint
        if (place, candidate.revision) not in seen:
            seen.add((place, candidate.revision))
            yield candidate
