"""Names of tensors: the original repositories' and ours differ in the head's anchors only."""

from collections.abc import Mapping

from torch import Tensor


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict of the original YOLOv5 or YOLOv7.

    `anchors` (in units of the stride) is `anchor_wh` here, because ultralytics keeps grid points under the old name;
    YOLOv7's `anchor_grid`
    (the same in pixels) is derived.
    """
    renamed = {}
    for key, value in state.items():
        stem, _, leaf = key.rpartition(".")
        if leaf != "anchor_grid":
            renamed[f"{stem}.anchor_wh" if leaf == "anchors" else key] = value
    return renamed
