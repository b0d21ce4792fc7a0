"""Blocks of our own; importing this package registers them all."""
