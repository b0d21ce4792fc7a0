"""Bring a checkpoint of a fork into this project's terms: structures by shape, tensors by order, settings by module."""
