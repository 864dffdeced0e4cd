"""The columns of a Parquet file of Hugging Face: where its images, boxes and classes are, and its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from masu.data.formats.rows import as_text
from masu.errors import InputError, bad_input
from masu.regular import require_regular

BOXES = ("bbox", "bboxes", "boxes", "box")
"""Names of boxes."""

FIX = "download the file again, or save it again with the library datasets"
"""What to do about a file that cannot be read."""

_IMAGES = ("image", "img", "picture", "photo")
_OBJECTS = ("objects", "object", "annotations", "annotation", "faces", "labels")
_CLASSES = ("category", "categories", "label", "labels", "class", "classes", "category_id", "category_ids")
_SIDES = ("height", "width")


class Columns(NamedTuple):
    """Where in a file things are.

    Attributes:
        image: column of images.
        packed: whether it is a struct of ``bytes`` and ``path``; else it is the bytes.
        objects: column of the objects; empty where their parts are columns.
        box: key of the boxes.
        label: key of the classes.
        sizes: columns of the images' height and width; none where they are not known.
        names: class names by their numbers; None where the classes are as they stand.
    """

    image: str
    packed: bool
    objects: str
    box: str
    label: str
    sizes: tuple[str, ...]
    names: tuple[str, ...] | None


def columns_of(file: Path) -> Columns | None:
    """The columns of a file; None where it holds no labelled images.

    Raises:
        InputError: no pyarrow, or a file that cannot be read.
    """
    with told(file) as pa:
        require_regular(file)
        schema = pa.parquet.read_schema(file)
        images = [field.name for field in schema if _holds_images(field.type, pa)]
        image = next((name for name in _IMAGES if name in images), images[0] if len(images) == 1 else None)
        if image is None:
            return None
        keys: dict[str, list[str]] = {"": list(schema.names)}
        for field in sorted(schema, key=lambda one: one.name not in _OBJECTS):
            inner = field.type.value_type if _is_list(field.type, pa) else field.type
            if pa.types.is_struct(inner):
                keys[field.name] = [inner.field(at).name for at in range(inner.num_fields)]
        for objects in (*(name for name in keys if name), ""):
            box = next((key for key in BOXES if key in keys[objects]), None)
            label = next((key for key in _CLASSES if key in keys[objects]), None)
            if box is not None and label is not None:
                break
        else:
            return None
        sizes = _SIDES if all(side in schema.names for side in _SIDES) else ()
        packed = pa.types.is_struct(schema.field(image).type)
        names = _class_names(schema.metadata or {}, [key for key in (objects, label) if key])
        return Columns(image, packed, objects, box, label, sizes, names)


def _is_list(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_images(kind: Any, pa: Any) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_binary(kind.field(at).type, pa)
    return _is_binary(kind, pa)


def _class_names(metadata: dict[bytes, bytes], path: list[str]) -> tuple[str, ...] | None:
    """The names of a ``ClassLabel`` in the features of the schema."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"null"))
    except (ValueError, RecursionError):
        return None
    for key in ("info", "features", *path):
        found = _inside(found)
        found = found.get(key) if isinstance(found, dict) else None
    found = _inside(found)
    names = found.get("names") if isinstance(found, dict) and found.get("_type") == "ClassLabel" else None
    if isinstance(names, dict):
        names = [names.get(str(number)) for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        return None
    return tuple(as_text(name.strip()) for name in names)


def _inside(feature: Any) -> Any:
    """A feature without the lists around it."""
    for _ in range(8):
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, dict) and "feature" in feature:
            feature = feature["feature"]
    return feature


def values_of(file: Path, columns: list[str], at_once: int) -> Iterator[dict[str, Any]]:
    """Some columns of every row, a few rows at a time."""
    with told(file) as pa:
        require_regular(file)
        opened = pa.parquet.ParquetFile(file)
        left = opened.metadata.num_rows
        for batch in opened.iter_batches(batch_size=at_once, columns=columns):
            if (left := left - len(batch)) < 0:
                break
            yield from batch.to_pylist()
        if left:
            raise ValueError("not as many rows as it says")


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        found = "a Parquet file, and no package to read it"
        raise bad_input(file, found, "the package pyarrow", "pip install 'masu[parquet]'") from None
    return pyarrow


@contextmanager
def told(file: Path) -> Iterator[Any]:
    """Pyarrow; whatever it says of a broken file is bad input."""
    pa = _pyarrow(file)
    try:
        yield pa
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        found = f"unusable Parquet ({type(error).__name__}: {error})"
        raise bad_input(file, found, "a data set of Hugging Face", FIX) from None
