"""Join data sets: labels that people made with labels from a model."""
