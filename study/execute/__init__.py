"""Train and measure the runs of a study, here or on a cluster."""
