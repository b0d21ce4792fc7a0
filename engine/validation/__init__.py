"""Validation on a data set: what val.py runs."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
