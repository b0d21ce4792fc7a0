"""ModelSpec → torch module."""
