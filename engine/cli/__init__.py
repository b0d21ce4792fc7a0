"""Command lines of the scripts: flags, run folders, exit codes."""
