"""TIFFs whose values fill no byte, which no package here writes."""

import struct

ENTRIES = 10


def write_packed(path, values, bits, photometric=1, orientation=1):
    """Write ``(H, W)`` whole numbers below ``2**bits`` as uncompressed grey, each row from a new byte."""
    height, width = values.shape
    text = ["".join(format(value, f"0{bits}b") for value in row) for row in values.tolist()]
    rows = [line + "0" * (-len(line) % 8) for line in text]
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    start = 8 + 2 + 12 * ENTRIES + 4
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, start)]
    tags += [(274, orientation), (277, 1), (278, height), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, ENTRIES) + entries + struct.pack("<I", 0) + data)
    return path
