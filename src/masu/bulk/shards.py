"""A shard: its images predicted, its rows written as one Parquet file that appears whole."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from masu.bulk.alone import predict_alone
from masu.bulk.manifest import Images
from masu.bulk.parts import join_if_done, shard_name
from masu.bulk.plan import Plan
from masu.bulk.refusals import require_some_readable
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
    predictor: BatchPredictor, plan: Plan, images: Images, number: int, *, alone: bool = False
) -> Tally:
    """Predict a shard and write its rows.

    Args:
        predictor: gives the rows.
        plan: the job.
        images: of the job, in the folder where the rows go.
        number: of the shard.
        alone: image by image in a process of its own, see :func:`masu.bulk.alone.predict_alone`.

    Raises:
        InputError: of the predictor, where the store refuses all objects, or cannot be written to.
    """
    require_pyarrow()
    import pyarrow.compute
    import pyarrow.parquet

    paths = images[plan.shard(number)]
    table, killers = predict_alone(predictor, paths) if alone else (predictor({"path": paths}), [])
    require_some_readable(images, paths, table["error"].to_pylist())
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    images.store.write(shard_name(plan, number), buffer.getvalue())
    join_if_done(plan, images.store, number)
    counts = pyarrow.compute.sum(pyarrow.compute.list_value_length(table["scores"])).as_py()
    errors = table.num_rows - table["error"].null_count
    return Tally(number, table.num_rows, counts or 0, errors, tuple(killers))
