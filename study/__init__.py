"""The study: train variants over seeds, compare them fairly, and say what the comparison could have seen."""
