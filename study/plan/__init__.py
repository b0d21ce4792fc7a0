"""Plan a study: its spec → the runs that it takes."""
