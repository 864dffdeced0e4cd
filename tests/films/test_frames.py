"""Frames and their times: laws of lossless films whose every pixel is known."""

import os
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

import masu
from masu.errors import InputError
from masu.films.moving import Moving
from masu.films.newest import newest
from masu.films.source import is_film, source_of, sources_of
from tests.films.scenes import box, film, scene

SCENES = [scene(number) for number in range(8)]


def test_a_lossless_film_gives_its_own_pixels(tmp_path):
    read = list(masu.frames(film(tmp_path / "a.mkv", SCENES)))
    assert [frame.number for frame in read] == list(range(8))
    assert all(np.array_equal(frame.image, image) for frame, image in zip(read, SCENES, strict=True))
    assert {frame.image.dtype.name for frame in read} == {"uint8"}


def test_times_are_the_films_own(tmp_path):
    times = [0, 0.1, 0.2, 0.5, 0.6, 1.25, 1.26, 9.0]
    read = list(masu.frames(film(tmp_path / "a.mkv", SCENES, times=times)))
    assert [frame.seconds for frame in read] == times


def test_times_count_from_the_first_frame(tmp_path):
    """A film that was cut out of another one begins later; and 30000/1001 frames a second are no whole numbers."""
    times = [5 + n * 1001 / 30000 for n in range(8)]
    path = film(
        tmp_path / "a.mp4", SCENES, times=times, codec="mpeg4", pixels="yuv420p", base=Fraction(1, 30000)
    )
    assert [frame.seconds for frame in masu.frames(path)] == [round(n * 1001 / 30000, 6) for n in range(8)]


def test_frames_that_are_stored_in_another_order_come_as_they_are_shown(tmp_path):
    path = film(tmp_path / "a.mp4", SCENES * 4, codec="libx264", pixels="yuv420p", options={})
    with av.open(str(path)) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert stored != sorted(stored), "a film with B-frames is wanted here"
    seconds = [frame.seconds for frame in masu.frames(path)]
    assert seconds == [round(n / 10, 6) for n in range(32)]


@pytest.mark.parametrize(("every", "numbers"), [(1, [0, 1, 2, 3, 4, 5, 6, 7]), (3, [0, 3, 6]), (100, [0])])
def test_every_nth_frame_keeps_its_number_and_time(tmp_path, every, numbers):
    read = list(masu.frames(film(tmp_path / "a.mkv", SCENES), every))
    assert [frame.number for frame in read] == numbers
    assert [frame.seconds for frame in read] == [number / 10 for number in numbers]


@pytest.mark.parametrize(("rotation", "quarters"), [(90, 1), (-90, 3), (180, 2), (0, 0)])
def test_a_film_that_was_taken_upright_is_upright(tmp_path, rotation, quarters):
    """The display matrix turns counterclockwise; a square that is red tells where it went."""
    path = film(tmp_path / "a.mp4", SCENES[:1], codec="mpeg4", pixels="yuv420p", rotation=rotation)
    (frame,) = masu.frames(path)
    assert frame.image.shape == np.rot90(SCENES[0], quarters).shape
    red = np.rot90(np.abs(SCENES[0].astype(int) - (220, 30, 30)).max(-1) == 0, quarters)
    assert frame.image[red].astype(int).mean(0)[0] > 180
    assert frame.image[red].astype(int).mean(0)[1:].max() < 70


@pytest.mark.parametrize("pixels", ["gray", "gray16le", "bgra", "yuv420p10le", "gbrp16le", "yuva420p"])
def test_deep_grey_and_transparent_films_are_rgb(tmp_path, pixels):
    path = film(tmp_path / "a.mkv", SCENES[:1], pixels=pixels)
    (frame,) = masu.frames(path)
    assert frame.image.shape == (80, 120, 3)
    assert frame.image.dtype == np.uint8
    assert np.abs(frame.image[70, 60].astype(int) - 128).max() <= 3


@pytest.mark.parametrize("size", [(121, 81), (1, 1), (33, 200)])
def test_odd_sizes_are_kept(tmp_path, size):
    image = np.full((size[1], size[0], 3), 77, np.uint8)
    (frame,) = masu.frames(film(tmp_path / "a.mkv", [image]))
    assert frame.image.shape == image.shape


def test_a_folder_of_images_is_a_film_in_the_order_of_its_numbers(tmp_path):
    for number in (1, 2, 10):
        Image.fromarray(SCENES[number % 8]).save(tmp_path / f"shot{number}.png")
    read = list(masu.frames(tmp_path))
    assert [(frame.number, frame.seconds) for frame in read] == [(0, None), (1, None), (2, None)]
    assert all(np.array_equal(f.image, SCENES[n % 8]) for f, n in zip(read, (1, 2, 10), strict=True))
    (sequence,) = sources_of([tmp_path / "shot10.png", tmp_path / "shot1.png"])
    assert [path.name for path in sequence.paths] == ["shot10.png", "shot1.png"]


def test_an_image_of_a_sequence_that_cannot_be_read_keeps_its_number(tmp_path):
    for number in range(3):
        Image.fromarray(SCENES[number]).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    faults = []
    assert [frame.number for frame in source_of(tmp_path).frames(1, faults)] == [0, 2]
    assert len(faults) == 1


def told(path):
    faults = []
    read = list(source_of(path).frames(1, faults))
    return len(read), faults


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.ts", "mpeg4", "yuv420p"),
    ],
)
def test_a_whole_film_has_no_faults(tmp_path, name, codec, pixels):
    base = Fraction(1, 10) if name == "a.avi" else None
    assert told(film(tmp_path / name, SCENES * 3, codec=codec, pixels=pixels, base=base)) == (24, [])


def test_a_cut_film_gives_what_is_readable_and_one_line(tmp_path):
    path = film(tmp_path / "a.mkv", SCENES * 5)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    count, faults = told(path)
    assert 10 < count < 40
    (fault,) = faults
    last = (count - 1) / 10
    assert fault == (
        f"{path}: found an end long before its 4.00 s, wanted a whole film; "
        f"what can be read is used: {count} frames, up to {last:.2f} s"
    )


def test_a_cut_film_that_says_its_length_is_told(tmp_path):
    path = film(
        tmp_path / "a.mp4", SCENES * 5, codec="mpeg4", pixels="yuv420p", options={"movflags": "faststart"}
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    count, (fault,) = told(path)
    assert 5 < count < 40
    assert fault.startswith(f"{path}: found ")
    assert f"what can be read is used: {count} frames, up to " in fault
    assert "\n" not in fault


def test_a_damaged_film_goes_on_after_the_damage(tmp_path):
    path = film(tmp_path / "a.mkv", SCENES * 5, codec="mpeg4", pixels="yuv420p")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = os.urandom(400)
    path.write_bytes(content)
    count, faults = told(path)
    assert count > 10
    assert len(faults) <= 1


def sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def empty(path):
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()


@pytest.mark.parametrize(
    ("make", "found", "code"),
    [
        (lambda path: None, "no such file", "missing-file"),
        (lambda path: path.touch(), "an empty file", "bad-input"),
        (lambda path: path.write_bytes(b"\0" * 5000), "invalid data", "bad-input"),
        (lambda path: path.mkdir(), "Is a directory", "bad-input"),
        (os.mkfifo, "a pipe", "bad-input"),
        (sound, "audio without pictures", "bad-input"),
        (empty, "no frame", "bad-input"),
    ],
)
def test_what_is_no_film_is_one_line(tmp_path, make, found, code):
    path = tmp_path / "a.avi"
    make(path)
    with pytest.raises(InputError) as caught:
        list(Moving(str(path), "a", f"file:{path}").frames(1, []))
    assert (caught.value.thing, caught.value.code) == (str(path), code)
    assert found in caught.value.found
    assert "\n" not in str(caught.value)


def test_a_playlist_in_a_films_name_opens_nothing_else(tmp_path):
    """The classic attack: FFmpeg follows a playlist to an address."""
    path = tmp_path / "a.avi"
    path.write_text(
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(InputError) as caught:
        list(masu.frames(path))
    assert caught.value.thing == str(path)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/a.mp4", "https://x/a.mp4", "ftp://x/a", "file:///a.mp4"]
)
def test_no_other_address_is_opened(address):
    with pytest.raises(InputError) as caught:
        masu.frames(address)
    assert caught.value.found == "a URL"


def test_a_stream_that_does_not_answer_is_one_line_without_its_password():
    with pytest.raises(InputError) as caught:
        list(masu.frames("rtsp://me:secret@127.0.0.1:9/door?token=secret"))
    assert caught.value.thing == "rtsp://127.0.0.1:9/door"
    assert caught.value.found == "connection refused"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("word", ["camera:77", "camera:/dev/video78"])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Video4Linux")
def test_a_camera_that_is_not_there_is_one_line(word):
    with pytest.raises(InputError) as caught:
        list(masu.frames(word))
    assert (caught.value.thing, caught.value.found) == (word, "no such file or directory")


def test_bad_words():
    for word, thing in (("camera:", "camera:"), ("rtsp://", "rtsp"), ("rtsp://[", "rtsp")):
        with pytest.raises(InputError) as caught:
            masu.frames(word)
        assert caught.value.thing == thing
    with pytest.raises(InputError) as caught:
        masu.frames("a.mp4", 0)
    assert (caught.value.thing, caught.value.code) == ("every", "out-of-range")


@pytest.mark.parametrize(
    ("word", "film"),
    [
        *(("a.mp4", True), ("A.MOV", True), ("camera:0", True), ("rtsp://x/y", True), ("RTSP://x", True)),
        *(("a.jpg", False), ("photos", False), ("shots/*.jpg", False), ("http://x/a.mp4", False)),
        ("s3://bucket/a.mp4", False),
    ],
)
def test_what_a_word_means(word, film):
    assert is_film(word) is film


def test_of_what_happens_now_the_newest_is_taken():
    from threading import Event

    gone_on, closed = Event(), []

    def ticks():
        try:
            yield 0
            assert first_taken.wait(10)
            yield from (1, 2, 3)
            gone_on.set()
        finally:
            closed.append(True)

    first_taken = Event()
    reader = newest(ticks())
    assert next(reader) == 0
    first_taken.set()
    assert gone_on.wait(10)
    assert next(reader) == 3
    assert next(reader, None) is None
    assert closed == [True]


def test_the_newest_raises_what_the_source_raises():
    def broken():
        yield 1
        raise InputError("gone")

    reader = newest(broken())
    with pytest.raises(InputError, match="gone"):
        list(reader)


def test_without_the_package_one_line_says_what_to_install(tmp_path):
    path = film(tmp_path / "a.mkv", SCENES[:1])
    code = (
        "import sys; sys.modules['av'] = None\nimport masu\n"
        f"try:\n    next(masu.frames({str(path)!r}))\nexcept masu.InputError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "av: found no such package, wanted the package av; pip install 'masu[video]'\n"


def test_known_boxes():
    assert box(0, 2) == [10, 8, 22, 20]
