"""Balance of classes: how often training shows an image, and how much a class counts in the loss."""
