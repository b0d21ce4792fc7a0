"""Records of a data set → batches for the model."""
