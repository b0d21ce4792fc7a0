"""YAML → ModelSpec: read, resolve and describe a model without building it."""
