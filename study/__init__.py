"""Run a study: train variants over seeds, compare them fairly, and say what the comparison could have seen."""

import moved_modules  # noqa: F401 - an import of an old path names the new one
