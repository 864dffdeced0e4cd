"""Streams and cameras: a real RTSP client against a server of this computer, FFmpeg's test picture as a camera."""

import json

import pytest

import masu
from masu.errors import InputError
from masu.films.moving import Moving
from masu.verbs.film import run_film
from tests.films.rtsp import served
from tests.films.scenes import Finder, box, scene

SCENES = [scene(number) for number in range(8)]


def test_a_stream_gives_its_frames_with_their_times():
    with served(SCENES) as (address, said):
        read = [(frame.number, frame.seconds) for frame in masu.frames(f"rtsp://{address}")]
    assert read == [(number, number / 10) for number in range(8)]
    assert [line.split()[0] for line, _ in said] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_a_password_goes_to_the_camera_and_nowhere_else(tmp_path):
    with served(SCENES, user="me:secret") as (address, said):
        report = masu.detect_film(Finder(), f"rtsp://me:secret@{address}", tmp_path)
    assert any("authorization" in heads for _, heads in said)
    lines = [json.loads(line) for line in report.file.read_text().splitlines()]
    assert {line["film"] for line in lines} == {f"rtsp://{address}"}
    assert "secret" not in report.file.read_text() + report.file.name
    first = lines[0]["detections"][0]["box"]
    assert first == pytest.approx(box(0, lines[0]["frame"]), abs=1)


def test_a_wrong_password_is_one_line():
    with served(SCENES, user="me:secret") as (address, _), pytest.raises(InputError) as caught:
        list(masu.frames(f"rtsp://me:wrong@{address}"))
    assert "401" in caught.value.found
    assert "wrong" not in str(caught.value)


def test_of_a_camera_frames_are_left_out_and_ctrl_c_is_its_end(tmp_path):
    """Ten thousand frames a second from FFmpeg's test picture, a finder that is slower: what it sees is the newest."""
    camera = Moving("camera:test", "camera-test", "testsrc=size=64x48:rate=30", live=True, form="lavfi")
    finder = Finder()
    inner = finder.predict

    def until_five(images, **more):
        if finder.calls == 5:
            raise KeyboardInterrupt
        return inner(images, **more)

    finder.predict = until_five
    report = run_film(
        finder,
        camera,
        tmp_path,
        to="jsonl",
        every=1,
        threshold=None,
        track=True,
        pictures=True,
        margins=False,
        batch_size=8,
        progress=None,
        taken=set(),
    )
    lines = [json.loads(line) for line in (tmp_path / "camera-test.jsonl").read_text().splitlines()]
    numbers = [line["frame"] for line in lines]
    assert (report.frames, len(lines)) == (5, 5)
    assert numbers == sorted(set(numbers))
    assert [line["seconds"] for line in lines] == pytest.approx([number / 30 for number in numbers], abs=1e-5)
    drawn = [frame.seconds for frame in masu.frames(tmp_path / "camera-test.mp4")]
    first = lines[0]["seconds"]
    assert drawn == pytest.approx([line["seconds"] - first for line in lines], abs=1e-4)
