"""Training: what train.py runs, its checkpoints, and how a run resumes."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
