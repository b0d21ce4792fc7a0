"""export.py: files for other runtimes, each checked against the checkpoint."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
