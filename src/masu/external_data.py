"""Whether an ONNX file keeps weights in other files, told from its bytes before any runtime opens it.

ONNX is Protocol Buffers: a message is a row of fields, each a number, a wire type and a value. Only the
messages that can hold a tensor are looked into (onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator

_INTO = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
"""Of each message the fields that lead to tensors, and which message they are."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _EIGHT_BYTES, _MESSAGE, _FOUR_BYTES = 0, 1, 2, 5


def keeps_external_data(model: bytes | memoryview) -> bool:
    """Whether any tensor of an ONNX model lies in another file.

    Args:
        model: all bytes of the file.

    Raises:
        ValueError: bytes that are no message.
    """
    waiting = [("model", memoryview(model))]
    while waiting:
        kind, message = waiting.pop()
        into = _INTO.get(kind, {})
        for number, wire, value in _fields(message):
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and any(value))):
                return True
            if number in into and wire == _MESSAGE:
                waiting.append((into[number], value))
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Number, wire type and bytes of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            _, end = _varint(message, at)
        elif wire == _MESSAGE:
            length, at = _varint(message, at)
            end = at + length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            end = at + (8 if wire == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"a field of wire type {wire}")
        if end > len(message):
            raise ValueError("a field that goes on after the end")
        yield number, wire, message[at:end]
        at = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, least first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number without an end")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
