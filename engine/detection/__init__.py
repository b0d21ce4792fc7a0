"""Detection in images, videos and streams: what detect.py runs."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
