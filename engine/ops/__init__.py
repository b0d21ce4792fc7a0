"""Image and box operations on arrays and tensors."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
