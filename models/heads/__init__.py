"""Detection heads; each subclasses ultralytics' Detect, so that its validator, predictor and exporter take them."""
