"""Image and box operations on arrays and tensors."""
