"""The folder of runs."""

from pathlib import Path

RUNS = Path("runs")  # below the folder that the command is run from, as YOLOv5 does
