"""Read image files: pixels by one rule, size and state, and any number of channels."""
