"""The one logger: ultralytics', so that its messages and ours keep their order."""

from engine import env  # noqa: F401 - before ultralytics

# isort: split
from ultralytics.utils import LOGGER

__all__ = ["LOGGER"]
