"""Folders of images and videos as people have them: odd names, kinds, sizes, and what cannot be used."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.integration.slow.odd_files import write_odd_files

FRAMES = 3
KINDS = {  # suffix → codec, of what OpenCV's FFmpeg writes
    "mp4": "mp4v", "avi": "MJPG", "mkv": "MJPG", "mov": "mp4v", "wmv": "WMV2", "asf": "WMV2", "flv": "FLV1",
    "mpg": "PIM1", "ts": "MPG2", "m2ts": "MPG2", "MTS": "MPG2", "webm": "VP80", "m4v": "mp4v", "3gp": "mp4v",
}  # fmt: skip


def make_video(path: Path, codec: str = "mp4v", size: tuple[int, int] = (96, 64), fps: float = 25.0) -> bytes:
    """Write a video of a few frames, and return its bytes."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)
    for number in range(FRAMES):
        frame = np.full((size[1], size[0], 3), 40 + 60 * number, np.uint8)
        writer.write(cv2.circle(frame, (size[0] // 2, size[1] // 2), size[1] // 4, (0, 255, 0), -1))
    writer.release()
    return path.read_bytes()


def write_videos(folder: Path) -> None:
    """Write more than twenty videos: fourteen kinds, odd sizes and rates, wrong names, broken ones."""
    folder.mkdir()
    for suffix, codec in KINDS.items():
        make_video(folder / f"kind.{suffix}", codec)
    plain = (folder / "kind.mp4").read_bytes()
    frames = [Image.fromarray(np.full((40, 60, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    make_video(folder / "odd size.avi", "MJPG", (67, 45))
    make_video(folder / "tiny.avi", "MJPG", (16, 16))
    make_video(folder / "tall.mp4", size=(64, 160))
    make_video(folder / "slow motion.mp4", fps=211.2)
    make_video(folder / "видео 视频 📷.mp4")
    for name, content in {
        "no suffix": plain,
        "called an image.jpg": plain,
        "called.avi": plain,
        "UPPER.MP4": plain,
        "kind-2.mp4": plain,  # as the second of one name would be called
        "truncated.mp4": plain[: len(plain) // 2],
        "truncated.avi": (folder / "kind.avi").read_bytes()[:4000],
        "empty.mov": b"",
        "text.mkv": b"this is no video",
        "noise.webm": np.random.default_rng(0).bytes(4000),
    }.items():
        (folder / name).write_bytes(content)


def write_images(folder: Path) -> None:
    """Write odd names, depths and sizes, and files of one name in several folders."""
    image = np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8)
    jpg = cv2.imencode(".jpg", image)[1].tobytes()
    png = cv2.imencode(".png", image)[1].tobytes()
    cmyk = io.BytesIO()
    Image.fromarray(image).convert("CMYK").save(cmyk, "tiff")
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(100)  # the head of one
    for part in ("a", "b", "b/c"):
        (folder / part).mkdir(parents=True)
        (folder / part / "same.jpg").write_bytes(jpg)
        (folder / part / "same.png").write_bytes(png)
    names = [
        "图像.jpg",
        "имя.jpg",
        "صورة.png",
        "é è.jpg",
        "e\u0301.jpg",
        "a  b.jpg",
        " lead.jpg",
        "#1%41.jpg",
        "[x]{y}.jpg",
    ]
    names += [
        "-dash.jpg",
        "--flag.jpg",
        "quote'\".jpg",
        "semi;colon&.jpg",
        "dots..v1.2.jpg",
        ".hidden.jpg",
        "new\nline.jpg",
    ]
    names += [
        "n" * 250 + ".jpg",
        "长" * 80 + ".jpg",
        "a.jpeg",
        "a.JPEG",
        "a.jpe",
        "a.png.jpg",
        "c:drive.jpg",
        "back\\slash.jpg",
    ]
    for name in names:
        (folder / "a" / name).write_bytes(png if name.endswith(".png") else jpg)
    more = {
        "float.tif": cv2.imencode(".tif", image.astype(np.float32) / 255)[1].tobytes(),
        "12 of 16 bits.png": cv2.imencode(".png", (image[..., 0].astype(np.uint16) << 4))[1].tobytes(),
        "cmyk.tif": cmyk.getvalue(),
        "wide.png": cv2.imencode(".png", np.repeat(image[:2], 20, 1))[1].tobytes(),
        "phone.heic": heic,
        "zeros.png": bytes(500),
        "text.png": b"nothing",
        "two in one.jpg": jpg + jpg,
    }
    for name, content in more.items():
        (folder / "b" / name).write_bytes(content)


def write_all(folder: Path) -> list[str]:
    """Write everything; return the folders to give as sources."""
    folder.mkdir(exist_ok=True)
    write_videos(folder / "videos")
    write_images(folder / "images")
    (folder / "more").mkdir()
    image = np.random.default_rng(2).integers(0, 255, (120, 160, 3), np.uint8)
    write_odd_files(image, folder / "videos" / "kind.mp4", folder / "more")
    parts = ("videos", "images/a", "images/b", "images/b/c", "more/good", "more/bad")
    return [str(folder / part) for part in parts]


def files_in(folders: list[str]) -> set[str]:
    """Return what lies directly in folders, but for folders that are searched themselves."""
    known = {Path(folder).resolve() for folder in folders}
    return {str(entry) for folder in folders for entry in Path(folder).iterdir() if entry.resolve() not in known}
