"""Carry pretrained tensors into a model whose rows have moved."""
