"""Export to other runtimes: what export.py runs."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
