"""val.py: measure a detector on a data set."""
