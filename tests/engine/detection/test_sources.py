"""Every kind of source, and every kind of broken file."""

import os
import shutil
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import cv2
import numpy as np
import pytest

from engine.detection.file_list import is_live, list_files
from engine.detection.readers import FileReader
from engine.detection.sources import open_source
from engine.errors import UsageError


def image(path, width=32, height=24):
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))
    return path


def film(path, frames=10, fps=5.0, size=(64, 48), codec="mp4v"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    for number in range(frames):
        writer.write(np.full((size[1], size[0], 3), number * 5, np.uint8))
    writer.release()
    return path


def test_a_folder_holds_images_and_videos_whatever_their_names(tmp_path):
    for name in ("b.jpg", "a.PNG", "имя.jpg", "name with spaces.jpg", "#hash%41.jpg", "dot.in.name.jpg"):
        image(tmp_path / "x.png").rename(tmp_path / name)
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    (tmp_path / "below").mkdir()
    film(tmp_path / "film.mp4")
    files = FileReader(list_files(str(tmp_path)))
    seen = [frame for _, _, frames in files for frame in frames]
    assert sum(frame.kind == "image" for frame in seen) == 6
    assert [frame.number for frame in seen if frame.kind == "video"] == list(range(1, 11))
    assert files.report.summary() == "used 6 images and 1 video (10 frames), skipped 0"


def test_a_glob_a_list_and_a_single_file(tmp_path, monkeypatch):
    for name in ("a.jpg", "b.jpg", "c.png"):
        image(tmp_path / name)
    listing = tmp_path / "list.txt"
    listing.write_text(f"a.jpg\n\n{tmp_path / 'c.png'}\nmissing.jpg\n")
    assert list_files(str(tmp_path / "*.jpg")) == [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    files = FileReader(list_files(str(listing)))
    assert [paths for paths, _, _ in files] == [[str(tmp_path / "a.jpg")], [str(tmp_path / "c.png")]]
    assert files.report.skipped == [(str(tmp_path / "missing.jpg"), "there is no such file")]
    monkeypatch.chdir(tmp_path)
    assert list_files("*.png") == ["c.png"]
    assert list_files("a.jpg") == ["a.jpg"]


def test_a_name_with_glob_characters_that_exists_is_a_file(tmp_path):
    path = image(tmp_path / "a[1].jpg")
    assert list_files(str(path)) == [str(path)]


@pytest.mark.parametrize(
    "source", ["0", "1", "rtsp://camera/1", "RTMP://x", "tcp://1.2.3.4", "http://camera/live", "http://camera/a.mjpg"]
)
def test_live_sources(source):
    assert is_live(source)


@pytest.mark.parametrize("source", ["a.jpg", "http://x/a.jpg", "https://x/b.mp4?token=1", "list.streams"])
def test_sources_that_are_not_live(source):
    assert not is_live(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("nothing_here", "there is no such file or folder"),
        ("nothing*", "nothing in it"),
        ("screen", "the screen is no"),
    ],
)
def test_nothing_to_find(source, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=text):
        open_source(source)


@pytest.mark.parametrize("live", ["0", "rtsp://camera/1"])
def test_cameras_stand_alone(live, tmp_path):
    with pytest.raises(UsageError, match=f"--source {live}: is a camera .* cameras.streams, one a line"):
        open_source([str(image(tmp_path / "a.jpg")), live])


def test_a_webcam_that_is_not_there():
    with pytest.raises(UsageError, match="--source 97: the webcam cannot be opened"):
        open_source("97")


def test_broken_files_are_skipped_with_a_reason(tmp_path):
    good = image(tmp_path / "good.jpg", 200, 200).read_bytes()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "half.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "directory.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "notes.txt").write_text("neither")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "bare").write_bytes(good)
    files = FileReader(list_files(str(tmp_path)))
    used = [path for paths, _, _ in files for path in paths]
    assert used == [str(tmp_path / "bare"), str(tmp_path / "good.jpg")]
    reasons = {path.rsplit("/", 1)[1]: reason for path, reason in files.report.skipped}
    assert reasons["empty.jpg"] == "is empty (0 bytes)"
    assert reasons["empty.mp4"] == "is empty (0 bytes)"
    assert reasons["directory.jpg"] == "is not a file but a folder or device"
    assert reasons["dangling.jpg"] == "there is no such file"
    assert "stop before the end" in reasons["half.jpg"]
    assert "no readable image" in reasons["text.jpg"]
    assert reasons["text.mp4"] == "cannot be opened as a video"
    assert "neither image nor video" in reasons["notes.txt"]
    assert len(used) + len(reasons) == len(list(tmp_path.iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="such names exist on Linux only")
def test_names_that_are_no_utf8_are_skipped(tmp_path):
    """OpenCV crashes the process when it is given one."""
    image(tmp_path / "x.jpg").rename(tmp_path / os.fsdecode(b"\xff.jpg"))
    film(tmp_path / "x.mp4").rename(tmp_path / os.fsdecode(b"\xff.mp4"))
    files = FileReader([*list_files(str(tmp_path)), str(image(tmp_path / "good.png"))])
    assert [path for paths, _, _ in files for path in paths] == [str(tmp_path / "good.png")]
    assert [reason for _, reason in files.report.skipped] == ["has a name that is not UTF-8; rename it"] * 2


def test_a_broken_video_does_not_stand_for_other_files(tmp_path):
    for number in range(3):
        image(tmp_path / "x.jpg").rename(tmp_path / f"film{number}.mp4")
    broken = tmp_path / "film%d.mp4"
    broken.write_text("no video")
    files = FileReader([str(broken)])
    assert list(files) == []
    assert files.report.skipped == [(str(broken), "cannot be opened as a video")]


def test_a_question_mark_in_a_name_is_no_query(tmp_path):
    files = FileReader([str(film(tmp_path / "f.mp4").rename(tmp_path / "who?1.mp4"))])
    assert sum(len(frames) for _, _, frames in files) == 10


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("batch", [1, 4])
def test_every_nth_frame_of_a_video(tmp_path, stride, batch):
    files = FileReader([str(film(tmp_path / "film.mp4"))], batch, stride)
    frames = [frame for _, _, frames in files for frame in frames]
    assert [frame.number for frame in frames] == list(range(1, len(range(0, 10, stride)) + 1))
    assert {round(frame.fps, 3) for frame in frames} == {round(5 / stride, 3)}


def test_a_batch_never_spans_two_videos(tmp_path):
    names = [str(film(tmp_path / f"{number}.mp4", frames=3)) for number in range(2)]
    sizes = [(len(paths), len(set(paths))) for paths, _, _ in FileReader(names, batch=2)]
    assert sizes == [(2, 1), (1, 1), (2, 1), (1, 1)]


def test_a_video_that_ends_early_is_used_as_far_as_it_goes(tmp_path):
    path = film(tmp_path / "film.avi", frames=40, codec="MJPG")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    files = FileReader([str(path)])
    read = sum(len(frames) for _, _, frames in files)
    assert 0 < read < 40
    assert files.report.frames == read
    assert [text for _, text in files.report.notes] == [f"ends early: {read} of 40 announced frames could be read"] or (
        files.report.notes == []  # builds of OpenCV that count the frames that are there
    )


class Capture:
    """Stands for OpenCV's: frames at these times in ms, of a video that is said to last so long."""

    def __init__(self, times, length):
        self.times, self.now = list(times), 0.0
        self.says = {cv2.CAP_PROP_FPS: 10.0, cv2.CAP_PROP_FRAME_COUNT: length / 100}

    def grab(self):
        self.now = self.times.pop(0) if self.times else 0.0  # OpenCV's is 0 behind the last frame, too
        return self.now > 0

    def retrieve(self):
        return True, np.zeros((4, 4, 3), np.uint8)

    def get(self, what):
        return self.says.get(what, self.now)


class Camera(BaseHTTPRequestHandler):
    """Sends images, slower than they are looked at, breaks off, and never comes back."""

    def do_GET(self):
        self.server.asked += 1
        if self.server.asked > 1:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for level in range(100, 200, 20):
            content = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            self.wfile.write(head.encode() + content + b"\r\n")
            self.wfile.flush()
            time.sleep(0.2)

    def log_message(self, *args):
        """Print nothing."""


def test_a_stream_that_breaks_off_ends_without_images_that_nobody_sent(monkeypatch):
    warned = []
    monkeypatch.setattr("models.upstream.data.LOGGER.warning", warned.append)
    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        server.asked = 0
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/camera"
        levels = [images[0].mean() for _, images, _ in open_source(address)]
        server.shutdown()
    assert levels == sorted(levels)
    assert min(levels) > 90
    assert 2 <= len(levels) <= 5
    assert warned == [f"{address}: gives no image; opening it again"]


@pytest.mark.parametrize(
    ("times", "note"),
    [
        ([1, 100, 200, 300, 400], None),
        ([1, 100, 200], "ends early: 3 of 5 announced frames could be read"),
        ([1, 100, 200, 300], "ends early: 4 of 5 announced frames could be read"),
        ([1, 100, 400], "has a variable frame rate: 3 frames in 0.5 s; a video written from it shows 10 a second"),
    ],
)
def test_uneven_times_are_told_from_a_video_that_ends_early(times, note):
    files = FileReader([])
    assert len(list(files._frames("film.mkv", Capture(times, 500)))) == len(times)
    assert [text.partition(", so")[0] for _, text in files.report.notes] == ([note] if note else [])


def test_the_odd_images(shared):
    folder = shared / "data" / "odd"
    files = FileReader(list_files(str(folder / "made")) + list_files(str(folder / "exif")))
    shapes = {paths[0].rsplit("/", 1)[1]: images[0].shape for paths, images, _ in files}
    assert shapes["Landscape_6.jpg"] == (1200, 1800, 3)  # turned upright by its EXIF tag, see MANIFEST.csv
    assert shapes["Portrait_8.jpg"] == (1800, 1200, 3)
    assert shapes["gray16.png"] == shapes["rgba.png"] == shapes["gray.jpg"] == (120, 160, 3)
    assert shapes["no_extension"] == shapes["jpeg_no_eoi.jpg"] == (1200, 1800, 3)
    assert shapes["1xN.png"] == (1, 2000, 3)
    skipped = {path.rsplit("/", 1)[1] for path, _ in files.report.skipped}
    unusable = {"zero_byte.jpg", "zero_byte.png", "text.jpg", "html404.jpg", "jpeg_half.jpg", "jpeg_header_only.jpg"}
    assert skipped - {"directory.jpg", "dangling_link.jpg"} == unusable | {"png_half.png"}


def test_images_in_memory():
    import torch
    from PIL import Image

    red = np.zeros((8, 6, 3), np.uint8)
    red[..., 2] = 255  # in OpenCV's order
    tensor = torch.zeros(1, 3, 8, 6)
    tensor[:, 0] = 1
    for source in (red, [red], Image.fromarray(red[..., ::-1]), tensor, tensor[0]):
        ((paths, images, frames),) = list(open_source(source))
        assert np.array_equal(images[0], red)
        assert frames[0].path == paths[0] == "image0"
    assert open_source(np.zeros((8, 6), np.uint8)).all[0].shape == (8, 6, 3)
    assert [len(images) for _, images, _ in open_source([red] * 5, batch=2)] == [2, 2, 1]


@pytest.mark.parametrize("source", [np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8), [None], 1.5])
def test_what_is_no_image(source):
    with pytest.raises(UsageError, match="is no image"):
        open_source(source)


def test_a_list_of_paths(tmp_path):
    paths = [str(image(tmp_path / "a.jpg")), str(image(tmp_path / "b.jpg"))]
    shutil.copy(paths[0], tmp_path / "c.jpg")
    assert [found for found, _, _ in open_source(paths, batch=2)] == [paths]
    with pytest.raises(UsageError, match="nowhere"):
        open_source([*paths, "nowhere.jpg"])


def test_a_camera_that_cannot_be_opened_is_named_among_several(tmp_path):
    streams = tmp_path / "cameras.streams"
    streams.write_text("/dev/no-such-camera-1\n/dev/no-such-camera-2\n")
    with pytest.raises(UsageError, match=r"the stream /dev/no-such-camera-1 cannot be opened"):
        open_source(str(streams), 1, 1)


@pytest.mark.parametrize(
    "source",
    ["https://www.youtube.com/watch?v=x", "https://youtu.be/x", "http://m.youtube.com/shorts/x", "https://vimeo.com/1"],
)
def test_pages_of_videos_are_no_streams(source):
    with pytest.raises(UsageError, match="is a page, not a stream; download the video"):
        open_source(source)


def test_folders_in_a_folder_are_named_and_files_read_once(tmp_path):
    for name in ("a.png", "cat/1.png", "dog/1.png", ".hidden/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    reader = open_source([str(tmp_path), str(tmp_path / "cat"), str(tmp_path / "a.png")])
    assert reader.files == [str(tmp_path / "a.png"), str(tmp_path / "cat" / "1.png")]
    assert [name for name, _ in reader.report.notes] == [str(tmp_path / "dog")]


def test_a_list_that_windows_wrote(tmp_path):
    (tmp_path / "pics").mkdir()
    assert cv2.imwrite(str(tmp_path / "pics" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "list.txt").write_text("pics\\a.png\r\n", encoding="utf-16")
    assert list_files(str(tmp_path / "list.txt")) == [str(tmp_path / "pics" / "a.png")]
    (tmp_path / "quoted.txt").write_text("\"pics\\a.png\",\n'pics/a.png'\npics/b.png,\n", encoding="utf-8")
    found = str(tmp_path / "pics" / "a.png")
    assert list_files(str(tmp_path / "quoted.txt")) == [found, found, str(tmp_path / "pics/b.png,")]
    (tmp_path / "gbk.txt").write_bytes("细胞.png\n".encode("gbk"))
    with pytest.raises(UsageError, match="line 1 is not UTF-8; save it as UTF-8"):
        list_files(str(tmp_path / "gbk.txt"))


def test_images_of_as_many_channels_as_the_model_takes(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "colour.png"), colour)
    cv2.imwrite(str(tmp_path / "four.png"), np.dstack([colour, colour[..., 0]]))
    np.save(tmp_path / "array.npy", np.zeros((8, 6, 4), np.uint8))
    video = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 32))
    video.write(np.zeros((32, 32, 3), np.uint8))
    video.release()

    def read(channels):
        reader = open_source(str(tmp_path), channels=channels)
        shapes = {frames[0].path.rpartition("/")[2]: images[0].shape for _, images, frames in reader}
        return shapes, {name.rpartition("/")[2]: reason for name, reason in reader.report.skipped}

    shapes, skipped = read(4)
    assert shapes == {"four.png": (8, 6, 4), "array.npy": (8, 6, 4)}
    assert skipped["colour.png"] == "has 3 channels, and 4 are expected"
    assert skipped["film.avi"] == "frames of videos have 3 channels, and 4 are expected"
    shapes, skipped = read(1)
    assert shapes == {"colour.png": (8, 6, 1), "four.png": (8, 6, 1), "film.avi": (32, 32, 1)}
    assert skipped == {"array.npy": "has 4 channels, and 1 are expected"}
    assert read(3)[0].keys() == {"colour.png", "four.png", "film.avi"}


def test_images_in_memory_of_other_channels():
    four = np.zeros((8, 6, 4), np.uint8)
    assert open_source(four, channels=4).all[0].shape == (8, 6, 4)
    assert open_source(np.zeros((8, 6, 3), np.uint8), channels=1).all[0].shape == (8, 6, 1)
    with pytest.raises(UsageError, match=r"shape \(8, 6, 4\) is no image for this; give \(h, w, 5\)"):
        open_source(four, channels=5)


def test_a_folder_of_folders_names_them_and_what_to_write(tmp_path):
    (tmp_path / "train").mkdir()
    cv2.imwrite(str(tmp_path / "train" / "a.jpg"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match=r"only folders in it \(train\), which are not searched") as caught:
        open_source(str(tmp_path))
    pattern = str(caught.value).partition("--source '")[2].rstrip("'")
    assert open_source(pattern).files == [str(tmp_path / "train" / "a.jpg")]


def test_a_list_from_another_machine_finds_the_images_beside_it(tmp_path):
    (tmp_path / "train").mkdir()
    cv2.imwrite(str(tmp_path / "train" / "a.jpg"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "list.txt").write_text("C:\\sets\\mine\\train\\a.jpg\ndata/train/a.jpg\n")
    assert open_source(str(tmp_path / "list.txt")).files == [str(tmp_path / "train" / "a.jpg")]
