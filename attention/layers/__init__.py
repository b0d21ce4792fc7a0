"""Layers and checks that several mechanisms share."""
