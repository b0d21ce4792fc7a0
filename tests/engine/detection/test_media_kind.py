"""Images and videos by their content."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from engine.detection.media_kind import video_format
from engine.detection.sources import open_source

FRAMES = 30


def film(path: Path, codec: str) -> Path:
    """Write a short film; its container is that of the suffix."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25.0, (64, 48))
    assert writer.isOpened()
    for number in range(FRAMES):
        writer.write(np.full((48, 64, 3), 8 * number, np.uint8))
    writer.release()
    return path


def gif(path: Path, frames: int) -> Path:
    images = [Image.fromarray(np.full((24, 32, 3), 40 * number, np.uint8)) for number in range(frames)]
    images[0].save(path, "GIF", save_all=True, append_images=images[1:], duration=100)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "name"),
    [("avi", "MJPG", "AVI"), ("mp4", "mp4v", "MP4"), ("mkv", "MJPG", "Matroska"), ("flv", "FLV1", "FLV"),
     ("ts", "MPG2", "MPEG-TS"), ("mov", "mp4v", "MP4"), ("nut", "mp4v", "NUT")],
)  # fmt: skip
def test_containers_are_recognised_whatever_their_names(tmp_path: Path, suffix: str, codec: str, name: str) -> None:
    path = film(tmp_path / f"film.{suffix}", codec)
    assert video_format(path) == name
    for other in ("film", "film.jpg", "film.dat"):
        renamed = path.rename(tmp_path / other)
        reader = open_source(str(renamed))
        assert sum(len(frames) for _, _, frames in reader) == FRAMES
        assert (reader.report.videos, reader.report.skipped) == (1, [])
        path = renamed.rename(path)


@pytest.mark.parametrize(("frames", "kind"), [(1, "image"), (5, "video")])
def test_a_gif_is_a_video_where_it_has_several_frames(tmp_path: Path, frames: int, kind: str) -> None:
    reader = open_source(str(gif(tmp_path / "a.gif", frames)))
    seen = [frame.kind for _, _, frames in reader for frame in frames]
    assert seen == [kind] * frames


def test_jpegs_one_after_the_other_are_a_video_where_the_name_says_so(tmp_path: Path) -> None:
    reader = open_source(str(film(tmp_path / "film.mjpg", "MJPG")))
    assert [frame.kind for _, _, frames in reader for frame in frames] == ["video"] * FRAMES
    assert not reader.report.notes


def test_that_only_the_first_frame_of_an_animation_is_looked_at_is_said(tmp_path: Path) -> None:
    images = [Image.fromarray(np.full((24, 32, 3), 40 * number, np.uint8)) for number in range(3)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    reader = open_source(str(tmp_path))
    assert [frame.kind for _, _, frames in reader for frame in frames] == ["image"]
    assert reader.report.notes == [(str(tmp_path / "a.png"), "holds several frames or pages (the first used)")]


def test_an_image_called_a_video_is_an_image(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    reader = open_source(str(tmp_path / "a.mp4"))
    assert [frame.kind for _, _, frames in reader for frame in frames] == ["image"]


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x18ftypheic", b"\0\0\0\x1cftypavif", b"\x47" + b"x" * 600,
     b"#EXTM3U\nhttp://127.0.0.1/x.ts\n", b"ffconcat version 1.0\nfile /etc/passwd\n"],
)  # fmt: skip
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert video_format(path) is None


def test_a_colon_in_a_videos_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "film.mp4", "mp4v").rename(tmp_path / "http:film.mp4")
    monkeypatch.chdir(tmp_path)
    assert sum(len(frames) for _, _, frames in open_source("http:film.mp4")) == FRAMES
