"""A detector's parts as one LiteRT file (``.tflite``), a signature for each.

What :mod:`masu.litert` has to know besides lies behind the model as a zip archive, which is where LiteRT's
own metadata has its files; every interpreter reads past it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from masu.atomic import new_file
from masu.errors import bad_input
from masu.exports.parts import traced
from masu.exports.quiet import quiet
from masu.litert import DESCRIPTION_FILE, LABELS_FILE, PARTITION_FILE, signature_of
from masu.partition import Partition
from masu.runtime import Description
from masu.seal import BLANK, seal


def write_tflite(
    description: Description,
    partition: Partition,
    parts: Sequence[tuple[nn.Module, tuple[Tensor, ...]]],
    file: Path,
) -> None:
    """Write parts of :func:`masu.exports.parts.partitioned` to ``file``.

    Args:
        description: what the file says about itself.
        partition: what lies between the parts.
        parts: networks, each with an example of its inputs.
        file: to write.

    Raises:
        InputError: the package that writes this format is not installed.
        OSError: no space or no right to write.
    """
    try:
        with quiet():
            import litert_torch
    except ImportError as error:
        raise bad_input(
            "export", f"no package {error.name}", "litert-torch", 'pip install "masu[litert]"'
        ) from None
    converter = litert_torch.Converter()
    with quiet():
        for number, (part, example) in enumerate(parts):
            converter.add_signature(signature_of(number), traced(part, example).module(), example)
        model: bytes = converter.convert().model_content()
    content = io.BytesIO()
    content.write(model)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(DESCRIPTION_FILE, description.to_json())
        archive.writestr(PARTITION_FILE, partition.to_json())
        archive.writestr(LABELS_FILE, "\n".join(description.names) + "\n")
        archive.comment = BLANK.encode()
    new_file(file, content.getvalue())
    seal(file)
