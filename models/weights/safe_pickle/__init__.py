"""Read PyTorch's files without executing what they hold."""
