"""Records of a data set → batches for the model."""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
