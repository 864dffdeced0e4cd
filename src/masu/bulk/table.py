"""The rows of a bulk job: what Parquet files hold of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from masu.errors import bad_input

if TYPE_CHECKING:
    import pyarrow

    from masu.bulk.stores import Store
    from masu.records import Detections


@dataclass(frozen=True, eq=False)
class ImageRow:
    """One image and what was found in it, or why not.

    Attributes:
        path: as in the plan.
        height: of the upright image in pixels; None with an error.
        width: likewise.
        found: None with an error.
        error: what is wrong with the image; None where it was predicted.
    """

    path: str
    height: int | None = None
    width: int | None = None
    found: Detections | None = None
    error: str | None = None


def require_pyarrow() -> Any:
    """The package pyarrow.

    Raises:
        InputError: where it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise bad_input(
            "--format parquet",
            "no such package",
            "the package pyarrow",
            "pip install 'masu[parquet]'",
            code="missing-package",
        ) from None
    return pyarrow


def schema() -> pyarrow.Schema:
    """Names and types of the columns; ``docs/bulk.md`` says what they mean."""
    pa = require_pyarrow()
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("boxes", pa.list_(pa.list_(pa.float32()))),
            ("scores", pa.list_(pa.float32())),
            ("labels", pa.list_(pa.int32())),
            ("names", pa.list_(pa.string())),
            ("error", pa.string()),
        ]
    )


def part_rows(store: Store, name: str) -> int | None:
    """How many rows a Parquet file of a store has; None where it is damaged or holds something else.

    Its table of contents is read, not its rows.

    Raises:
        InputError: where the store does not answer.
    """
    pa = require_pyarrow()
    with store.open(name) as file:
        try:
            with pa.parquet.ParquetFile(file) as part:
                return part.metadata.num_rows if part.schema_arrow.equals(schema()) else None
        except (pa.ArrowException, OSError):
            return None


def to_table(rows: Sequence[ImageRow]) -> pyarrow.Table:
    """Rows as a table of :func:`schema`, in their order."""
    pa = require_pyarrow()
    found = [row.found for row in rows]
    columns = {
        "path": [_printable(row.path) for row in rows],
        "height": [row.height for row in rows],
        "width": [row.width for row in rows],
        "boxes": [None if f is None else list(np.asarray(f.boxes, np.float32)) for f in found],
        "scores": [None if f is None else np.asarray(f.scores, np.float32) for f in found],
        "labels": [None if f is None else np.asarray(f.labels, np.int32) for f in found],
        "names": [None if f is None else list(f.names) for f in found],
        "error": [None if row.error is None else _printable(row.error) for row in rows],
    }
    return pa.table(columns, schema=schema())


def _printable(text: str) -> str:
    """A file name that is not UTF-8 holds lone surrogates, which Parquet has no place for."""
    return text.encode(errors="backslashreplace").decode()
