"""Results → differences, intervals and verdicts."""
