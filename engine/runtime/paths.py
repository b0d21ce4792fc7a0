"""Folders of the project and of its runs."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = Path("runs")  # below the folder that the command is run from, as YOLOv5 does
