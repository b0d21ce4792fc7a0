"""Weight files: official checkpoints read inertly, our own format, downloads, alignment."""
