"""train.py: the trainer, its loop, and what a run stores and continues from."""
