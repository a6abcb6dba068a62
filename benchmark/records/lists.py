"""What a row has a list of, for each epoch, layer and image, as a table with one line a trial: the
Parquet file beside registered rows, and what the database takes in.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .metrics import WHOLE
from .outcome import Examples, Outcome
from .rules import Column

_TEXT = pa.string()
_EPOCH = {
    "phase": _TEXT,
    "epoch": pa.int32(),
    "loss": pa.float64(),
    "penalty": pa.float64(),
    "accuracy": pa.float64(),
    "learning_rate": pa.float64(),
}
_LAYER = {"layer": _TEXT, "kind": _TEXT, "metric": _TEXT, "value": pa.float64()}
_PART = {"threat": _TEXT, "split": _TEXT, "metric": _TEXT, "examples": pa.int32()}
# Of the two lists one is NULL: hits and labels are `whole`, measures `real`.
_IMAGES = _PART | {"whole": pa.list_(pa.uint16()), "real": pa.list_(pa.float32())}
SCHEMA = pa.schema(
    {
        "key": _TEXT,
        "epochs": pa.list_(pa.struct(_EPOCH)),
        "layers": pa.list_(pa.struct(_LAYER)),
        "examples": pa.list_(pa.struct(_IMAGES)),
    }
)
MOST_VALUES = 2**28  # of a file: 1 GiB in memory


class Lists(NamedTuple):
    """One line of the table: epochs and layers as plain rows, values per image as arrays."""

    epochs: list[dict[str, Any]]
    layers: list[dict[str, Any]]
    columns: list[Column]

    @classmethod
    def of(cls, outcome: Outcome) -> Lists:
        return cls(
            [vars(epoch) for epoch in outcome.epochs],
            [vars(layer) for layer in outcome.layers],
            list(map(Column.of, outcome.examples)),
        )

    @property
    def examples(self) -> tuple[Examples, ...]:
        """Not validated anew: `rules` has looked at the columns."""
        told = [column._asdict() for column in self.columns]
        for row in told:
            row["values"] = tuple(row["values"].astype(float).tolist())
        return tuple(Examples.model_construct(None, **row) for row in told)

    @property
    def sha256(self) -> str:
        """Its first 16 digits, of what the file keeps."""
        heads = [[*column[:4], len(column.values)] for column in self.columns]
        names = [
            [row[name] for name in fields] for rows, fields in self._told(_TEXT) for row in rows
        ]
        digest = hashlib.sha256(json.dumps([names, heads]).encode())
        for rows, fields in self._told(pa.float64()):
            digest.update(
                np.array([[row[name] for name in fields] for row in rows], "<f8").tobytes()
            )
        for column in self.columns:
            digest.update(_kept(column).tobytes())
        return digest.hexdigest()[:16]

    def _told(self, kind: pa.DataType) -> list[tuple[list[dict[str, Any]], list[str]]]:
        """Rows and which of their fields are numbers, or which are words and counts."""
        is_number = kind == pa.float64()
        return [
            (rows, [name for name, kind in fields.items() if (kind == pa.float64()) == is_number])
            for rows, fields in ((self.epochs, _EPOCH), (self.layers, _LAYER))
        ]


def _kept(column: Column) -> np.ndarray:
    return column.values.astype("<u2" if column.metric in WHOLE else "<f4", copy=False)


def table(outcomes: Sequence[Outcome]) -> pa.Table:
    """One line an outcome, in their order."""
    lists = [Lists.of(outcome) for outcome in outcomes]
    keys = pa.array([outcome.key for outcome in outcomes], _TEXT)
    columns = [
        _nested([one.epochs for one in lists], _EPOCH),
        _nested([one.layers for one in lists], _LAYER),
        _images([one.columns for one in lists]),
    ]
    return pa.Table.from_arrays([keys, *columns], schema=SCHEMA)


def _nested(rows: Sequence[Sequence[Any]], fields: dict[str, pa.DataType]) -> pa.ListArray:
    flat = list(chain.from_iterable(rows))
    arrays = [pa.array([row[name] for row in flat], kind) for name, kind in fields.items()]
    return _listed(rows, pa.StructArray.from_arrays(arrays, fields=_fields(fields)))


def _images(rows: Sequence[Sequence[Column]]) -> pa.ListArray:
    flat = list(chain.from_iterable(rows))
    arrays = [pa.array([getattr(row, name) for row in flat], kind) for name, kind in _PART.items()]
    for is_whole, kind in ((True, pa.uint16()), (False, pa.float32())):
        absent = [(column.metric in WHOLE) != is_whole for column in flat]
        values = [
            column.values[:0] if missing else column.values for column, missing in zip(flat, absent)
        ]

        dtype = "<u2" if is_whole else "<f4"
        joined = np.concatenate([np.empty(0, dtype), *(v.astype(dtype) for v in values)])
        arrays.append(
            pa.ListArray.from_arrays(
                _ends(values), pa.array(joined, kind), mask=pa.array(absent, pa.bool_())
            )
        )
    return _listed(rows, pa.StructArray.from_arrays(arrays, fields=_fields(_IMAGES)))


def _ends(rows: Iterable[Any]) -> pa.Array:
    return pa.array([0, *accumulate(map(len, rows))], pa.int32())


def _listed(rows: Sequence[Sequence[Any]], flat: pa.StructArray) -> pa.ListArray:
    return pa.ListArray.from_arrays(_ends(rows), flat)


def _fields(kinds: dict[str, pa.DataType]) -> list[pa.Field]:
    return [pa.field(name, kind) for name, kind in kinds.items()]


def as_parquet(outcomes: Sequence[Outcome]) -> bytes:
    """The file of a track's rows. The same rows give the same bytes."""
    file = io.BytesIO()
    repeated: Any = [  # pyarrow's stubs know a bool only
        *("epochs.list.element.phase", "epochs.list.element.learning_rate"),
        *(f"layers.list.element.{name}" for name in ("layer", "kind", "metric")),
        *(f"examples.list.element.{name}" for name in _PART),
        "examples.list.element.whole.list.element",
    ]
    pq.write_table(
        table(outcomes),
        file,
        compression="zstd",
        compression_level=19,
        use_dictionary=repeated,
        data_page_size=2**24,  # zstd finds what repeats within a page
        write_page_checksum=True,
    )
    return file.getvalue()


def of_parquet(content: bytes) -> pa.Table:
    """Raises ValueError, in one line, for what is no such file."""
    try:
        file = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        if file.schema_arrow.remove_metadata() != SCHEMA:
            raise ValueError("its columns are other ones")
        if (values := _counted(content)) > MOST_VALUES:
            raise ValueError(f"it has {values} values, where at most {MOST_VALUES} are read")
        found = file.read().combine_chunks()
        found.validate(full=True)
    except (pa.ArrowException, duckdb.Error, OSError, OverflowError, MemoryError) as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    return found


def _counted(content: bytes) -> int:
    """How many values a file says that it has.

    DuckDB is asked: of a footer that contradicts itself pyarrow's metadata end the process.
    """
    count = "SELECT coalesce(sum(num_values), 0)::BIGINT FROM parquet_metadata(?)"
    # A cursor of the module's own connection: another one takes ten times as long as the question.
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy, duckdb.cursor() as database:
        copy.write(content)
        copy.flush()
        [[values]] = database.execute(count, [copy.name]).fetchall()
    return values


def lines(found: pa.Table) -> Iterator[tuple[str, Lists]]:
    """Key and lists of each line of a table. Raises ValueError for lists with holes."""
    keys, *columns = (found.column(name).combine_chunks() for name in SCHEMA.names)
    epochs, layers = (_rows(column) for column in columns[:2])
    images = _columns(columns[2])
    for i, key in enumerate(keys.to_pylist()):
        yield (
            key,
            Lists(epochs[i], layers[i], images[i]),
        )


def _rows(column: pa.ListArray) -> list[list[dict[str, Any]]]:
    if column.null_count or column.values.null_count:
        raise ValueError("a list has a hole")
    return column.to_pylist()


def _columns(column: pa.ListArray) -> list[list[Column]]:
    flat = column.values
    heads = [flat.field(name) for name in _PART]
    if any(array.null_count for array in (column, flat, *heads)):
        raise ValueError("a list has a hole")
    lists = flat.field("whole"), flat.field("real")
    there = [array.is_valid().to_pylist() for array in lists]
    starts = [array.offsets.to_pylist() for array in lists]
    if any(array.values.null_count for array in lists):
        raise ValueError("a list has a hole")
    values = [array.values.to_numpy() for array in lists]
    found = []
    for i, head in enumerate(zip(*(array.to_pylist() for array in heads))):
        kept = int(head[2] not in WHOLE)
        if not there[kept][i] or there[1 - kept][i]:
            raise ValueError(f"{head[2]} is not in the list of its type")
        mine = values[kept][starts[kept][i] : starts[kept][i + 1]]
        found.append(Column._make((*head, mine)))
    ends = column.offsets.to_pylist()
    return [found[start:end] for start, end in pairwise(ends)]
