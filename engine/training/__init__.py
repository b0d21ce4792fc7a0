"""train.py: the trainer, its loop, and what a run stores and continues from."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
