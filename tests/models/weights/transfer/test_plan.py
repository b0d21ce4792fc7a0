"""Which tensors a model takes over: by name, by alignment, by class; expected values counted by hand."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from models.weights.transfer.align_layers import align_layers
from models.weights.transfer.class_rows import head_rows, map_classes
from models.weights.transfer.plan import apply_transfer, plan_transfer


@dataclass
class Layer:
    name: str
    module: str
    reads: tuple[str, ...]
    args: tuple[Any, ...] = ()
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    attention: Any = None


ANCHORS = [[10, 13, 16, 30], [30, 61, 62, 45]]


def conv(name: str, reads: str, width: int = 8, deep: int = 8) -> Layer:
    shapes = {"conv.weight": (width, deep, 3, 3), "bn.weight": (width,), "bn.num_batches_tracked": ()}
    return Layer(name, "Conv", (reads,), (width, 3), shapes)


def detect(name: str, reads: tuple[str, ...], nc: int, anchors: Any = ANCHORS, module: str = "Detect") -> Layer:
    rows = 2 * (5 + nc)
    shapes: dict[str, tuple[int, ...]] = {"anchor_wh": (2, 2, 2)}
    for level in range(2):
        shapes |= {f"m.{level}.weight": (rows, 8, 1, 1), f"m.{level}.bias": (rows,)}
        if module == "IDetect":
            shapes |= {f"ia.{level}.implicit": (1, 8, 1, 1), f"im.{level}.implicit": (1, rows, 1, 1)}
    return Layer(name, module, reads, (nc, anchors), shapes)


def base(nc: int = 3) -> list[Layer]:
    return [
        conv("0", "image"),
        conv("1", "0"),
        conv("2", "1"),
        Layer("3", "Concat", ("2", "1")),
        detect("4", ("2", "3"), nc),
    ]


def state(layers: list[Layer]) -> dict[str, torch.Tensor]:
    """Each tensor with values of its own; the official name of the anchors."""
    tensors: dict[str, torch.Tensor] = {}
    for number, (layer, rest, shape) in enumerate(
        (one, rest, shape) for one in layers for rest, shape in one.shapes.items()
    ):
        size = int(torch.tensor(shape).prod()) if shape else 1
        key = f"model.{layer.name}.{rest.replace('anchor_wh', 'anchors')}"
        tensors[key] = (torch.arange(size, dtype=torch.float32) + 1000 * number).reshape(shape)
    return tensors


def shapes(layers: list[Layer]) -> dict[str, tuple[int, ...]]:
    return {f"model.{layer.name}.{rest}": shape for layer in layers for rest, shape in layer.shapes.items()}


def plan(source: Any, target: list[Layer], old: dict[int, str] | None = None, new: dict[int, str] | None = None) -> Any:
    names = {index: name for index, name in enumerate("abc")}
    old = names if old is None else old
    return plan_transfer(source, target, state(source or base()), shapes(target), old, names if new is None else new)


def test_the_same_model() -> None:
    report = plan(base(), base())
    assert report.transferred == list(shapes(base()))
    assert (report.new, report.missing, report.mismatched, report.unused, report.lost) == ([], [], [], [], [])
    assert report.complete
    assert report.total == 14
    assert report.summary() == "Transferred 14 of 14 tensors (100.0 % of the numbers)"


def test_anchors_go_under_our_name() -> None:
    source, target = state(base()), {key: torch.zeros(shape) for key, shape in shapes(base()).items()}
    apply_transfer(plan(base(), base()), source, target)
    assert torch.equal(target["model.4.anchor_wh"], source["model.4.anchors"])
    assert torch.equal(target["model.1.conv.weight"], source["model.1.conv.weight"])


def test_placed_attention_keeps_all_names() -> None:
    attention = Layer("1+CBAM", "CBAM", ("1",), (), {"fc.weight": (2, 8), "gamma": (1,)})
    target = base()
    target.insert(2, attention)
    report = plan(base(), target)
    assert report.new == ["model.1+CBAM.fc.weight", "model.1+CBAM.gamma"]
    assert len(report.transferred) == 14
    assert report.complete
    assert report.reasons["model.1+CBAM.gamma"] == "layer 1+CBAM is not in the checkpoint"
    assert "2 new: layer 1+CBAM is not in the checkpoint" in report.summary()
    assert report.summary().splitlines()[0] == "kept 14 of the checkpoint's 14 tensors; 2 new in other layers"


def test_the_first_line_says_what_was_kept_and_what_is_new() -> None:
    target = base(nc=2)
    target.insert(2, Layer("1+CBAM", "CBAM", ("1",), (), {"fc.weight": (2, 8), "gamma": (1,)}, attention="CBAM"))
    target[1].shapes["conv2.attention.fc.weight"] = (2, 8)
    target[0].shapes["conv.weight"] = (8, 8, 5, 5)
    line = plan(base(), target, new={0: "x", 1: "y"}).summary().splitlines()[0]
    # Of 14: not the first convolution's weight, nor two weights and two biases of a head for other classes.
    assert line == "kept 9 of the checkpoint's 14 tensors; 3 new in attention; 5 of another shape or other classes"


def test_attention_inside_a_block() -> None:
    target = base()
    target[1].shapes["conv2.attention.fc.weight"] = (2, 8)
    report = plan(base(), target)
    assert report.new == ["model.1.conv2.attention.fc.weight"]
    assert len(report.transferred) == 14
    assert report.complete


def test_from_attention_back_to_the_base_and_to_another() -> None:
    def with_one(module: str) -> list[Layer]:
        layers = base()
        layers.insert(2, Layer(f"1+{module}", module, ("1",), (), {"fc.weight": (2, 8)}))
        return layers

    report = plan(with_one("CBAM"), base())
    assert len(report.transferred) == 14
    assert report.unused == ["model.1+CBAM.fc.weight"]
    assert report.reasons["checkpoint:model.1+CBAM.fc.weight"] == "layer 1+CBAM of the checkpoint is not in the model"
    assert report.complete
    report = plan(with_one("CBAM"), with_one("SE"))
    assert report.new == ["model.1+SE.fc.weight"]
    assert report.unused == ["model.1+CBAM.fc.weight"]


def test_a_tensor_that_the_checkpoint_lacks() -> None:
    source = state(base())
    del source["model.1.bn.num_batches_tracked"]
    names = {0: "a", 1: "b", 2: "c"}
    report = plan_transfer(base(), base(), source, shapes(base()), names, names)
    assert report.missing == ["model.1.bn.num_batches_tracked"]
    assert not report.complete
    assert report.reasons[report.missing[0]] == "the checkpoint has layer 1 without this tensor"


def test_another_shape() -> None:
    target = base()
    target[1] = conv("1", "0", width=16)
    report = plan(base(), target)
    assert report.mismatched == ["model.1.conv.weight", "model.1.bn.weight"]
    assert report.reasons["model.1.bn.weight"] == "shape (8,) in the checkpoint, (16,) here"
    assert report.complete  # they changed; every unchanged one is there


def test_other_classes_without_common_names() -> None:
    """As the original: the output convolutions start anew, their anchors stay."""
    target = base(nc=2)
    report = plan(base(), target, new={0: "x", 1: "y"})
    outputs = [f"model.4.m.{level}.{kind}" for level in range(2) for kind in ("weight", "bias")]
    assert report.mismatched == outputs
    assert report.partial == []
    assert report.complete
    assert report.reasons[outputs[0]] == "head for 2 classes instead of 3, none in common by name"
    assert "model.4.anchor_wh" in report.transferred


def test_names_that_nobody_gave_do_not_match() -> None:
    """ "0", "1" … are placeholders: equal by accident."""
    report = plan(base(), base(nc=2), old={0: "0", 1: "1", 2: "2"}, new={0: "0", 1: "1"})
    assert len(report.mismatched) == 4
    assert not report.partial
    assert plan(base(), base(), old={}, new={0: "0", 1: "1", 2: "2"}).total == 14
    assert len(plan(base(), base(), old={0: "0", 1: "1", 2: "2"}).transferred) == 14


def test_rows_follow_their_class() -> None:
    """Classes a b c → C x A: rows 5 + k of each anchor move; box and objectness stay; x starts anew."""
    source = state(base())
    target_layers = base()
    new = {0: "C", 1: "x", 2: "A"}
    report = plan(base(), target_layers, new=new)
    bias = "model.4.m.1.bias"
    assert bias in report.partial
    assert bias in report.mismatched
    assert report.reasons[bias] == "rows of the classes in common: C, A; others start anew"
    target = {key: torch.full(shape, -1.0) for key, shape in shapes(target_layers).items()}
    apply_transfer(report, source, target)
    old = source[bias].tolist()
    assert target[bias].tolist() == [*old[:5], old[7], -1, old[5], *old[8:13], old[15], -1, old[13]]
    assert torch.equal(target["model.4.m.0.weight"][7], source["model.4.m.0.weight"][5])
    assert (target["model.4.m.0.weight"][6] == -1).all()


def test_a_subset_of_the_classes_is_whole() -> None:
    report = plan(base(), base(nc=2), new={0: "b", 1: "a"})
    assert report.mismatched == []
    assert len(report.transferred) == 14
    assert report.reasons["model.4.m.0.bias"] == "rows of the classes in common: b, a"
    target = {key: torch.zeros(shape) for key, shape in shapes(base(nc=2)).items()}
    source = state(base())
    apply_transfer(report, source, target)
    assert target["model.4.m.0.bias"][5:7].tolist() == source["model.4.m.0.bias"][[6, 5]].tolist()
    assert target["model.4.m.0.bias"][12:14].tolist() == source["model.4.m.0.bias"][[14, 13]].tolist()


def test_renamed_classes_stay_in_place() -> None:
    """Equal number and no name in common: a translation, not other objects."""
    report = plan(base(), base(), new={0: "α", 1: "β", 2: "γ"})
    assert len(report.transferred) == 14
    assert report.reasons == {}


def test_implicit_heads() -> None:
    source = [*base()[:4], detect("4", ("2", "3"), 3, module="IDetect")]
    target = [*base()[:4], detect("4", ("2", "3"), 2, module="IDetect")]
    names = {0: "a", 1: "b", 2: "c"}
    report = plan_transfer(source, target, state(source), shapes(target), names, {0: "c", 1: "z"})
    assert "model.4.ia.0.implicit" in report.transferred
    assert "model.4.im.0.implicit" in report.partial
    values = {key: torch.zeros(shape) for key, shape in shapes(target).items()}
    apply_transfer(report, state(source), values)
    old = state(source)["model.4.im.0.implicit"].flatten()
    assert values["model.4.im.0.implicit"].flatten()[:7].tolist() == [*old[:5].tolist(), old[7].item(), 0.0]


def test_stock_heads() -> None:
    classes = map_classes({0: "a", 1: "b"}, {0: "x", 1: "a", 2: "y"})
    rows = head_rows("cv3.1.2.weight", (2, 16, 1, 1), (3, 16, 1, 1), 0, classes)
    assert rows is not None
    assert (rows.dim, rows.old, rows.new, rows.complete) == (0, (0,), (1,), False)
    assert head_rows("cv3.1.1.conv.weight", (2, 16, 1, 1), (3, 16, 1, 1), 0, classes) is None
    assert head_rows("cv2.1.2.weight", (64, 16, 1, 1), (64, 16, 1, 1), 0, classes) is None


def test_anchors_of_the_users_own_description_are_kept() -> None:
    target = [*base()[:4], detect("4", ("2", "3"), 3, anchors=[[1, 2, 3, 4], [5, 6, 7, 8]])]
    report = plan(base(), target)
    assert report.mismatched == ["model.4.anchor_wh"]
    assert report.reasons["model.4.anchor_wh"] == "anchors of the new description kept"
    assert "model.4.anchor_wh" not in report.copies


def test_plain_tensors_go_by_name() -> None:
    report = plan(None, base())
    assert len(report.transferred) == 14
    report = plan_transfer(None, base(), {"backbone.conv1.weight": torch.ones(3)}, shapes(base()), {}, {})
    assert report.transferred == []
    assert len(report.new) == 14
    assert report.unused == ["backbone.conv1.weight"]


def test_derived_buffers_of_the_original_are_not_missed() -> None:
    source = state(base()) | {"model.4.anchor_grid": torch.ones(2, 1, 2, 1, 1, 2)}
    report = plan_transfer(base(), base(), source, shapes(base()), {}, {})
    assert report.unused == ["model.4.anchor_grid"]
    assert report.reasons["checkpoint:model.4.anchor_grid"] == "follows from other tensors"


def test_the_report_is_json() -> None:
    report = plan(base(), base(nc=2), new={0: "a", 1: "z"})
    content = json.loads(json.dumps(report.to_dict()))
    assert content["total"] == 14
    assert content["layers"] == {str(index): str(index) for index in range(5)}
    assert content["transferred"] + content["mismatched"] == [*report.transferred, *report.mismatched]
    assert content["partial"] == report.partial
    assert content["complete"] is True
    # 4 convolutions of 2 × 8 rows → 2 × 7 rows; all else is whole
    assert content["numbers_total"] - content["numbers_transferred"] == 2 * (14 * 8 + 14)


def inserted(layers: list[Layer], after: int, new: Layer) -> list[Layer]:
    """A careful hand edit: a row after `after`, later rows renumbered, its readers read it instead."""
    result: list[Layer] = []
    for index, layer in enumerate(layers):
        moved = copy.deepcopy(layer)
        moved.name = str(index if index <= after else index + 1)
        if index > after:
            moved.reads = tuple(
                name if name == "image" else str(int(name) + (int(name) >= after)) for name in layer.reads
            )
        result.append(moved)
        if index == after:
            new = copy.deepcopy(new)
            new.name, new.reads = str(after + 1), (str(after),)
            result.append(new)
    return result


def c3(name: str, reads: str) -> Layer:
    return Layer(name, "C3", (reads,), (8,), {"cv1.weight": (8, 8)})


LONG = [
    conv("0", "image"),
    conv("1", "0"),
    c3("2", "1"),
    conv("3", "2"),
    c3("4", "3"),
    conv("5", "4"),
    c3("6", "5"),
    Layer("7", "Upsample", ("6",)),
    Layer("8", "Concat", ("7", "4")),
    c3("9", "8"),
    conv("10", "9"),
    Layer("11", "Concat", ("10", "6")),
    c3("12", "11"),
    detect("13", ("9", "12"), 3),
]


@pytest.mark.parametrize("after", range(13))
@pytest.mark.parametrize(
    "new",
    [Layer("", "CBAM", (), (), {"fc.weight": (2, 8)}), conv("", "", width=16), Layer("", "Upsample", ())],
    ids=str,
)
def test_every_hand_made_insertion(after: int, new: Layer) -> None:
    """All layers find their old selves, though every later number moved; all 100 % of their tensors transfer."""
    target = inserted(LONG, after, new)
    report = plan(LONG, target)
    expected = {str(index if index <= after else index + 1): str(index) for index in range(14)}
    if new.module == "Upsample" and after in (6, 7):  # two equal rows without weights: either may be the old one
        for pairs in (report.layers, expected):
            pairs.pop("7", None)
            pairs.pop("8", None)
    assert report.layers == expected
    assert len(report.transferred) == sum(len(layer.shapes) for layer in LONG)
    assert report.new == [f"model.{after + 1}.{rest}" for rest in new.shapes]
    assert report.unused == []
    assert report.complete


@pytest.mark.parametrize("after", [2, 4, 6, 9, 12])
def test_an_equal_block_inserted_behind_its_like(after: int) -> None:
    """Type, arguments and shapes are the same: what it reads tells the old block from the new one."""
    target = inserted(LONG, after, c3("", ""))
    report = plan(LONG, target)
    assert report.layers[str(after)] == str(after)
    assert str(after + 1) not in report.layers
    assert report.complete


def test_inputs_tell_equal_layers_apart() -> None:
    """A third branch, equal to the two that were there but reading another map, is the new one."""
    old = [conv("0", "image"), conv("1", "0"), conv("2", "0"), Layer("3", "Concat", ("1", "2"))]
    new = [
        conv("0", "image"),
        conv("1", "image"),
        conv("2", "0"),
        conv("3", "0"),
        Layer("4", "Concat", ("2", "3", "1")),
    ]
    assert plan_transfer(old, new, state(old), shapes(new), {}, {}).layers == {"0": "0", "2": "1", "3": "2", "4": "3"}


def test_inputs_are_seen_through_insertions() -> None:
    """The old layer reads the inserted attention now, which reads what the layer read; the other one is new."""
    old = [conv("0", "image"), conv("1", "0"), Layer("2", "Concat", ("1", "0"))]
    new = [
        conv("0", "image"),
        Layer("1", "CBAM", ("0",), (), {"fc.weight": (2, 8)}),
        conv("2", "image"),
        conv("3", "1"),
        Layer("4", "Concat", ("3", "1", "2")),
    ]
    assert plan_transfer(old, new, state(old), shapes(new), {}, {}).layers == {"0": "0", "3": "1", "4": "2"}


def test_shapes_outweigh_inputs() -> None:
    """The same row, but on a map of another width: its tensors have other shapes, so it is not the old one."""
    wide = Layer("1", "C3", ("0",), (8,), {"cv1.weight": (8, 16)})
    old, new = [conv("0", "image"), c3("1", "0")], [conv("0", "image"), wide, c3("2", "1")]
    assert plan_transfer(old, new, state(old), shapes(new), {}, {}).layers == {"0": "0", "2": "1"}


def test_a_removed_row() -> None:
    target = [copy.deepcopy(layer) for layer in LONG if layer.name != "5"]
    for index, layer in enumerate(target):
        layer.name = str(index)
        layer.reads = tuple(
            name if name == "image" else str(4 if name == "5" else int(name) - (int(name) > 5)) for name in layer.reads
        )
    report = plan(LONG, target)
    assert report.layers == {str(index): str(index if index < 5 else index + 1) for index in range(13)}
    assert {key.split(".")[1] for key in report.unused} == {"5"}


def test_a_replaced_row() -> None:
    target = copy.deepcopy(LONG)
    target[4] = Layer("4", "C2f", ("3",), (8,), {"cv1.weight": (8, 8)})
    report = plan(LONG, target)
    assert report.layers == {str(index): str(index) for index in range(14) if index != 4}
    assert report.new == ["model.4.cv1.weight"]
    assert report.complete


def test_heads_of_other_dialects_correspond() -> None:
    target = [*LONG[:13], detect("13", ("9", "12"), 3, module="IDetect")]
    old, new = ({layer.name: layer.shapes for layer in layers} for layers in (LONG, target))
    pairs = align_layers(LONG, target, old, new)
    assert pairs["13"] == "13"


def test_moved_rows_are_reported_as_lost() -> None:
    """Alignment keeps the order; a row that was moved past its neighbours starts anew, and is named."""
    old = [
        conv("0", "image", 8),
        conv("1", "0", 16),
        Layer("2", "SPPF", ("1",), (), {"w": (3, 3)}),
        detect("3", ("2",), 3),
    ]
    new = [
        Layer("0", "SPPF", ("image",), (), {"w": (3, 3)}),
        conv("1", "0", 8),
        conv("2", "1", 16),
        detect("3", ("2",), 3),
    ]
    report = plan_transfer(old, new, state(old), shapes(new), {}, {})
    assert report.lost == ["model.0.w"]
    assert not report.complete
    assert "1 could have been kept but their layers moved" in report.summary()


def test_rows_of_a_decoupled_head() -> None:
    classes = map_classes({0: "cat", 1: "dog"}, {0: "dog", 1: "bird", 2: "cat"})
    # Three anchors of two classes become three of three: dog and cat of each anchor are known.
    rows = head_rows("m_cls.1.1.weight", (6, 16, 1, 1), (9, 16, 1, 1), 3, classes)
    assert rows is not None
    assert dict(zip(rows.new, rows.old, strict=True)) == {0: 1, 2: 0, 3: 3, 5: 2, 6: 5, 8: 4}
    assert not rows.complete
    assert head_rows("m.0.c3.bias", (6,), (9,), 3, classes) is not None
    assert head_rows("im_cls.0.implicit", (1, 6, 1, 1), (1, 9, 1, 1), 3, classes) is not None
    for other in ("m.0.cls_preds.weight", "m_cls.1.0.conv.weight", "m_reg.0.weight"):
        assert head_rows(other, (6, 16, 1, 1), (9, 16, 1, 1), 3, classes) is None
