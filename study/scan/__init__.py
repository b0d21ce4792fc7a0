"""Rank mechanisms × places at the cost of a few trainings; a proposal that a study tests, never a verdict."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
