"""Files as folders of images have them: good ones of all kinds, and what cannot be used."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
from PIL import Image


def write_odd_files(image, film, folder):
    """Write one file of each kind; returns the paths of those that can be used, and of those that cannot.

    Args:
        image: (h, w, 3) uint8, a few hundred pixels each way.
        film: path of a video.
        folder: where to.
    """

    def by_opencv(suffix, pixels=image):
        return cv2.imencode(suffix, pixels)[1].tobytes()

    def by_pillow(kind, mode="RGB", **how):
        stream = io.BytesIO()
        Image.fromarray(image).convert(mode).save(stream, kind, **how)
        return stream.getvalue()

    jpg, png = by_opencv(".jpg"), by_opencv(".png")
    deep = image.astype(np.uint16) * 257
    several = {"save_all": True, "append_images": [Image.fromarray(image[::-1])] * 3}
    turned = Image.Exif()
    turned[0x0112] = 6
    good = {
        "plain.jpg": jpg,
        "PLAIN.JPG": jpg,
        "plain.png": png,
        "plain.bmp": by_opencv(".bmp"),
        "plain.webp": by_opencv(".webp"),
        "grey.jpg": by_opencv(".jpg", image[..., 0]),
        "grey.png": by_opencv(".png", image[..., 0]),
        "deep.png": by_opencv(".png", deep),
        "deep.tif": by_opencv(".tif", deep),
        "alpha.png": by_pillow("png", "RGBA"),
        "palette.png": by_pillow("png", "P"),
        "cmyk.jpg": by_pillow("jpeg", "CMYK"),
        "turned.jpg": by_pillow("jpeg", exif=turned),
        "moving.gif": by_pillow("gif", **several),
        "moving.png": by_pillow("png", **several),
        "moving.webp": by_pillow("webp", **several),
        "pages.tif": by_pillow("tiff", **several),
        "junk behind.jpg": jpg + bytes(9000),
        "no end.jpg": jpg[:-2],
        "no suffix": jpg,
        "a jpg.png": jpg,
        "a png.jpg": png,
        "dot.png": by_opencv(".png", image[:1, :1]),
        "line.png": by_opencv(".png", np.repeat(image[:1], 9, 1)),
        "large.jpg": by_opencv(".jpg", cv2.resize(image, (2000, 1500))),
        "film.mp4": film.read_bytes(),
    }
    bad = {
        "empty.jpg": b"",
        "empty.png": b"",
        "empty.mp4": b"",
        "text.jpg": b"<html>404</html>",
        "text.mp4": b"no video",
        "text.txt": b"neither",
        "start.jpg": jpg[:30],
        "half.jpg": jpg[: len(jpg) // 2],
        "half.png": png[: len(png) // 2],
        "half.gif": by_pillow("gif")[:300],
        "half.webp": by_opencv(".webp")[:200],
        "half.mp4": film.read_bytes()[:500],
        "bomb.png": png_that_claims(50_000, 50_000),
        os.fsdecode(b"not utf8 \xff.jpg"): jpg,
    }
    for name, files in (("good", good), ("bad", bad)):
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
    (folder / "bad" / "folder.jpg").mkdir()
    (folder / "bad" / "link.jpg").symlink_to("nothing")
    os.mkfifo(folder / "bad" / "pipe.jpg")
    return sorted((folder / "good").iterdir()), sorted((folder / "bad").iterdir())


def png_that_claims(width, height):
    """Return a PNG file of a hundred bytes that claims a size."""
    content = b"\x89PNG\r\n\x1a\n"
    size = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    for chunk in (b"IHDR" + size, b"IDAT" + zlib.compress(b""), b"IEND"):
        content += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content
