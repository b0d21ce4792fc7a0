"""Curves as PDF beside their images, on request only."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from engine.runtime.figures import saved_as_pdf_too
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
