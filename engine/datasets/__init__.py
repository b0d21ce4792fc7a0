"""Data sets and loaders: records of `data` become batches for the model."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
