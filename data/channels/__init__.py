"""Images of other channels than three: grey and multispectral."""
