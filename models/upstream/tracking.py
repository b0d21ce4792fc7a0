"""What engine/ uses of ultralytics to track objects; it needs `lap`, which ultralytics would try to install."""

from pathlib import Path

from ultralytics import trackers
from ultralytics.engine.results import Boxes
from ultralytics.trackers import BOTSORT, BYTETracker
from ultralytics.utils import ROOT, YAML, IterableSimpleNamespace

from models.upstream.patches import apply

__all__ = ["Boxes", "make_tracker"]

_KINDS = {"bytetrack": BYTETracker, "botsort": BOTSORT}

apply()


def make_tracker(name: str) -> "trackers.BYTETracker":
    """Make a tracker with ultralytics' own settings for it.

    Args:
        name: "bytetrack" or "botsort".
    """
    settings = IterableSimpleNamespace(**YAML.load(Path(ROOT) / "cfg" / "trackers" / f"{name}.yaml"))
    settings.device = "cpu"
    return _KINDS[name](args=settings)
