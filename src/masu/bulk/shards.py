"""A shard: its images predicted, its rows written as one Parquet file that appears whole."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from masu.bulk.alone import predict_alone
from masu.bulk.plan import part_name
from masu.bulk.stores import Store
from masu.bulk.table import require_pyarrow

if TYPE_CHECKING:
    import pyarrow


class BatchPredictor(Protocol):
    """What a shard needs of :class:`masu.bulk.predictor.Predictor`."""

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> pyarrow.Table:
        """One row of :func:`masu.bulk.table.schema` per path, in order."""


@dataclass(frozen=True)
class Tally:
    """What a written shard holds.

    Attributes:
        shard: its number.
        images: number of rows.
        detections: number of objects in them.
        errors: number of rows with an error.
        killers: the images among those that ended the process that read them, twice.
    """

    shard: int
    images: int
    detections: int
    errors: int
    killers: tuple[str, ...] = ()


def run_shard(
    predictor: BatchPredictor, store: Store, number: int, images: Sequence[str], *, alone: bool = False
) -> Tally:
    """Predict a shard and write its part.

    Args:
        predictor: gives the rows.
        store: where the part goes.
        number: of the shard.
        images: the shard's.
        alone: one by one in a process of their own, see :func:`masu.bulk.alone.predict_alone`.

    Raises:
        InputError: of the predictor, or where the store cannot be written.
    """
    require_pyarrow()
    import pyarrow.compute
    import pyarrow.parquet

    table, killers = predict_alone(predictor, images) if alone else (predictor({"path": images}), [])
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    store.write(part_name(number), buffer.getvalue())
    counts = pyarrow.compute.sum(pyarrow.compute.list_value_length(table["scores"])).as_py()
    errors = table.num_rows - table["error"].null_count
    return Tally(number, table.num_rows, counts or 0, errors, tuple(killers))
