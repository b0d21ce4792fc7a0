"""A study's spec → the runs that it takes."""
