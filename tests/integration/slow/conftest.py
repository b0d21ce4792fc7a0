"""What the slow tests share."""

import pytest

from tests.digit_images import write_digits


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """21 + 10 images: neither is a multiple of what two processes take at once."""
    return write_digits(tmp_path_factory.mktemp("digits"), train=21, val=10)
