"""Curves as PDF beside their images, on request only."""

import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from engine.runtime.figures import saved_as_pdf_too, write_image_pdf
from metrics.confusion_plot import plot_confusion


@pytest.mark.parametrize("wanted", [False, True])
def test_a_figure_is_saved_as_pdf_where_that_is_wanted(wanted, tmp_path):
    original = Figure.savefig
    with saved_as_pdf_too(wanted):
        plot_confusion(np.eye(3, dtype=int), ["cat", "dog"], tmp_path / "matrix.png", 0.25)
        plot_confusion(np.eye(3, dtype=int), ["cat", "dog"], str(tmp_path / "other.svg"), 0.25)
    assert Figure.savefig is original
    names = ["matrix.pdf", "matrix.png", "other.svg"] if wanted else ["matrix.png", "other.svg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    if wanted:
        content = (tmp_path / "matrix.pdf").read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/Font" in content  # letters are letters
        assert b"/CreationDate" not in content


def test_an_error_puts_everything_back():
    original = Figure.savefig
    with pytest.raises(ZeroDivisionError), saved_as_pdf_too(True):
        raise ZeroDivisionError
    assert Figure.savefig is original


def test_an_image_loses_nothing_in_a_pdf(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    write_image_pdf(image, tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/MediaBox [ 0 0 24 19.2 ]" in content  # points: 50 and 40 pixels at 150 an inch
    head, body = re.search(rb"<< /Type /XObject(.*?)>>\s*stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL).groups()
    assert b"/Width 50" in head
    assert b"/FlateDecode" in head
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 50, 40, 8, 2, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(parts)  # a PDF packs rows as a PNG does
    stored = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(stored, image[::-1])  # from the bottom, and drawn so
