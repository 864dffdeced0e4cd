"""The least RTSP server that FFmpeg's client takes (RFC 2326): one H.264 stream over the same connection."""

import socket
import struct
import threading
from base64 import b64decode
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track\r\n"


def nals_of(images, rate):
    """For each image its NAL units: every one a key frame, with its parameter sets."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p"
    codec.framerate, codec.time_base, codec.gop_size = Fraction(rate), Fraction(1, rate), 1
    codec.options = {"tune": "zerolatency", "x264-params": "slice-max-size=1200:repeat-headers=1"}
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
            format="yuv420p"
        )
        frame.pts = number
        for packet in codec.encode(frame):
            yield [part for part in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part]


@contextmanager
def served(images, rate=10, user=None):
    """Serve the images once; gives the address and the requests so far."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    said = []

    def work():
        try:
            peer, _ = server.accept()
        except OSError:
            return
        with peer, peer.makefile("rwb") as stream:
            while line := stream.readline().decode():
                method = line.split()[0]
                heads = {}
                while (head := stream.readline().decode().strip()) != "":
                    name, _, value = head.partition(":")
                    heads[name.lower()] = value.strip()
                said.append((line.strip(), heads))
                known = b64decode(heads.get("authorization", "").removeprefix("Basic ")).decode()
                more, body, status = "", "", "200 OK"
                if user is not None and known != user:
                    status, more = "401 Unauthorized", 'WWW-Authenticate: Basic realm="door"\r\n'
                elif method == "DESCRIBE":
                    body = SDP
                    more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
                elif method == "SETUP":
                    more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n"
                elif method == "OPTIONS":
                    more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                stream.write(f"RTSP/1.0 {status}\r\nCSeq: {heads['cseq']}\r\n{more}\r\n{body}".encode())
                stream.flush()
                if method == "PLAY":
                    count = 0
                    for number, units in enumerate(nals_of(images, rate)):
                        for last, unit in ((unit is units[-1], unit) for unit in units):
                            time = number * 90000 // rate
                            head = struct.pack(">BBHII", 0x80, 96 | (last << 7), count & 0xFFFF, time, 1)
                            stream.write(struct.pack(">cBH", b"$", 0, len(head) + len(unit)) + head + unit)
                            count += 1
                    stream.flush()
                    return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}/door", said
    finally:
        server.close()
        thread.join(20)
