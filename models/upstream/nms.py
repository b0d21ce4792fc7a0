"""ultralytics' own non-maximum suppression, as it is before `models.upstream.patches` replaces it."""

from ultralytics.utils.nms import non_max_suppression

__all__ = ["non_max_suppression"]
