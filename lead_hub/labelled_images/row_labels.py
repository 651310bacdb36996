"""Parquet files on the Hub -> the class of every row, or of the rows of so many groups as may be asked for."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from lead_hub.hub import written_whole
from lead_hub.labelled_images.row_groups import RemoteTables, RowGroup, Wanted, one_array

MOST_LABEL_READS = 2000  # the Hub answers some thousand requests in five minutes
MOST_ROWS = 50_000_000
RULE = 3  # of what is kept


@dataclass(frozen=True, eq=False)
class KnownLabels:
    """Labels of the rows of some groups.

    Attributes:
        groups: all of the split, in order.
        looked_at: positions of those whose labels are known, ascending.
        labels: of their rows, in order.
    """

    groups: tuple[RowGroup, ...]
    looked_at: tuple[int, ...]
    labels: pyarrow.Array

    @property
    def n_rows(self) -> int:
        """Rows of the whole split."""
        return sum(group.n_rows for group in self.groups)


def known_labels(
    tables: RemoteTables, folder: Path, wanted: Wanted, *, seed: int, fewest_rows: int, is_private: bool
) -> KnownLabels | None:
    """Read the labels once, then from what was kept; None where the files do not fit together, or hold too few rows.

    Args:
        tables: the split.
        folder: where they are kept.
        wanted: the columns.
        seed: decides which groups are looked up where they are too many.
        fewest_rows: below which it is not worth it.
        is_private: whether only this machine's user may read what is kept.

    Raises:
        HubError: the Hub refused or could not be reached.
        RunCancelledError: cancelled.
        OSError, pyarrow.ArrowException: a file cannot be read.
    """
    of_all = _kept_labels(folder, tables, wanted)
    of_seed = _kept_labels(folder, tables, wanted, seed, MOST_LABEL_READS)
    for place in (of_all, of_seed):
        if (kept := _reopened(place)) is not None:
            return kept if kept.n_rows >= fewest_rows else None
    found = _looked_up(tables, wanted, seed=seed, fewest_rows=fewest_rows)
    if found is None:
        return None
    told = {"groups": [asdict(group) for group in found.groups], "looked_at": found.looked_at}
    table = pyarrow.table({"label": found.labels}).replace_schema_metadata({"lead-hub": json.dumps(told)})
    is_all = len(found.looked_at) == len(found.groups)
    with written_whole(of_all if is_all else of_seed, private=is_private) as part:
        pyarrow.parquet.write_table(table, part)
    return found


def _kept_labels(folder: Path, tables: RemoteTables, wanted: Wanted, *seed: int) -> Path:
    """Where labels are kept; of some of the groups, under the seed that chose them."""
    question = json.dumps([RULE, list(tables.addresses), asdict(wanted), *seed])
    return folder / f"labels-{hashlib.sha256(question.encode()).hexdigest()[:32]}.parquet"


def _reopened(place: Path) -> KnownLabels | None:
    """What was kept; None where there is nothing that can be read."""
    try:
        table = pyarrow.parquet.read_table(place)
        told = json.loads(table.schema.metadata[b"lead-hub"])
        groups = tuple(RowGroup(**each) for each in told["groups"])
        looked_at = tuple(told["looked_at"])
        if len(table) != sum(groups[position].n_rows for position in looked_at):
            return None
    except (OSError, pyarrow.ArrowException, ValueError, TypeError, LookupError):
        return None
    return KnownLabels(groups, looked_at, one_array(table["label"]))


def _looked_up(tables: RemoteTables, wanted: Wanted, *, seed: int, fewest_rows: int) -> KnownLabels | None:
    schemas = tables.schemas()
    types = {tuple(each.field(name).type for name in wanted.names if name in each.names) for each in schemas}
    groups = tuple(tables.groups(wanted))
    are_alike = len(types) == 1 and len(next(iter(types))) == len(wanted.names)
    if not are_alike or not fewest_rows <= sum(group.n_rows for group in groups) <= MOST_ROWS:
        return None
    mixed = [position for position, group in enumerate(groups) if group.label is None]
    keys = np.random.PCG64(np.random.SeedSequence([seed, 2])).random_raw(len(mixed))
    asked = sorted(mixed[place] for place in np.argsort(keys, kind="stable")[:MOST_LABEL_READS])
    read = dict(zip(asked, tables.values([groups[position] for position in asked], wanted.label), strict=True))
    kind = schemas[0].field(wanted.label).type
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    looked_at = tuple(position for position, group in enumerate(groups) if group.label is not None or position in read)
    values = [
        read[position]
        if position in read
        else pyarrow.repeat(pyarrow.scalar(groups[position].label, kind), groups[position].n_rows)
        for position in looked_at
    ]
    return KnownLabels(groups, looked_at, pyarrow.concat_arrays([pyarrow.nulls(0, kind), *values]))
