"""Losses; target assignment stands apart from the loss terms."""
