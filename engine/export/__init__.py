"""export.py: files for other runtimes, each checked against the checkpoint."""
