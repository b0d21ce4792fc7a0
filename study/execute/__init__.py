"""Train and measure the runs of a study, here or on a cluster."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
