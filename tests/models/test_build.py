"""Which head the tensors of a fork's checkpoint show."""

import torch

from models.heads.asff import SequentialASFFHead
from models.heads.decoupled import StemDecoupledHead, TaperedDecoupledHead, WideDecoupledHead
from models.source import _with_head_of

ANCHORS = [[1, 2], [3, 4], [5, 6]]


def description(head: str) -> dict[str, list[list[object]]]:
    return {"backbone": [[-1, 1, "Conv", [8]]], "head": [[-1, 1, "Conv", [8]], [[0, 1], 1, head, ["nc", "anchors"]]]}


def test_tensors_choose_the_structure_of_a_head() -> None:
    for cls, word, meant in (
        (WideDecoupledHead, "Decoupled_Detect", "Decoupled_Detect"),
        (TaperedDecoupledHead, "Decoupled_Detect", "Decoupled_Detect_v5"),
        (StemDecoupledHead, "Decoupled_Detect", "Decoupled_Detect_v7"),
        (SequentialASFFHead, "ASFF_Detect", "ASFF_Detect_v3"),
    ):
        state = {f"model.2.{key}": value for key, value in cls(2, ANCHORS, [8, 8, 8]).state_dict().items()}
        found = _with_head_of(description(word), {"model.1.conv.weight": torch.zeros(1), **state})
        assert found["head"] == [[-1, 1, "Conv", [8]], [[0, 1], 1, meant, ["nc", "anchors"]]]
    assert _with_head_of({"backbone": None}, {}) == {"backbone": None}
