"""Attention mechanisms: one a file, entered into the registry by a decorator and found by their place alone."""
