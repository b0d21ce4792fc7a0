"""val.py: measure a detector on a data set."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
