"""The detector as a network: shapes, initial values, identity starts, copies, awkward inputs."""

import copy
import pickle
from typing import Any

import pytest
import torch

from attention import attach
from data.folders import ROOT
from models import SpecError, build_model, load_model
from models.upstream.layers import DetectionModel

IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def output(detector, image=IMAGE):
    """Return decoded boxes and scores in eval mode."""
    with torch.no_grad():
        return detector.eval()(image)[0]


@pytest.mark.parametrize(("cfg", "boxes"), [("yolov5n", 3 * (64 + 16 + 4)), ("yolov5n6", 3 * (64 + 16 + 4 + 1))])
def test_output_shapes(cfg: str, boxes: int) -> None:
    detector = build_model(cfg, nc=7).eval()
    with torch.no_grad():
        decoded, raw = detector(IMAGE)
    assert decoded.shape == (1, 11, boxes)
    assert raw[0].shape == (1, 3, 8, 8, 12)
    assert isinstance(detector, DetectionModel)
    assert detector.stride.tolist() == [8, 16, 32, 64][: len(raw)]


def test_decoding_of_one_cell_by_hand() -> None:
    """A logit of 0 decodes to the middle of its cell and to the anchor itself; the score is ½ · ½."""
    head = build_model("yolov5n", nc=2).model[-1]
    raw = [torch.zeros(1, 3, 1, 2, 7) for _ in range(3)]
    decoded = head.decode(raw)
    assert decoded.shape == (1, 6, 18)
    assert decoded[0, :, 1].tolist() == [12.0, 4.0, 10.0, 13.0, 0.25, 0.25]  # level 0, anchor 0, y 0, x 1
    assert decoded[0, :4, 2].tolist() == [4.0, 4.0, 16.0, 30.0]  # anchor 1, x 0
    assert decoded[0, :4, -1].tolist() == [48.0, 16.0, 373.0, 326.0]  # level 2, last anchor, x 1


def test_boxes_are_decoded_in_float32_under_bfloat16() -> None:
    head = build_model("yolov5n").model[-1]
    raw = [torch.randn(1, 3, 4, 4, 85) for _ in range(3)]
    half = [level.bfloat16() for level in raw]
    assert head.decode(half).dtype == torch.float32
    torch.testing.assert_close(head.decode(half), head.decode([level.float() for level in half]))


def test_variants_share_initial_values() -> None:
    plain = build_model("yolov5n", seed=3).state_dict()
    attended = build_model("yolov5n", attention=["CBAM@backbone.P3,neck.P4"], seed=3).state_dict()
    assert all(torch.equal(value, attended[key]) for key, value in plain.items())
    other = build_model("yolov5n", seed=4).state_dict()
    assert not torch.equal(plain["model.0.conv.weight"], other["model.0.conv.weight"])


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build_model("yolov5n", attention=["CBAM@9"])
    assert torch.equal(torch.rand(1), expected)


def test_base_normalisation_is_of_the_papers_and_attention_keeps_its_own() -> None:
    detector = build_model("yolov5n", attention=["CBAM@9"])
    base = detector.model[0].bn
    own = [m for m in detector.model.get_submodule("9+CBAM").modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert (base.eps, base.momentum) == (1e-3, 0.03)
    assert own
    assert all((m.eps, m.momentum) == (1e-5, 0.01) for m in own)


@pytest.mark.parametrize("fused", [False, True])
def test_identity_start_changes_nothing_until_the_gate_opens(fused: bool) -> None:
    entries = [
        {"module": "CBAM", "at": ["backbone.P3", "neck.P3"]},
        {"module": "SE", "inside": "C3"},
        {"module": "GAM", "between": [4, 16]},
    ]
    plain, attended = build_model("yolov5n"), build_model("yolov5n", attention=entries, identity=True)
    if fused:
        plain, attended = plain.eval().fuse(), attended.eval().fuse()
    expected = output(plain)
    assert torch.equal(output(attended), expected)
    gates = [p for name, p in attended.named_parameters() if name.endswith("gamma")]
    # The eight C3 blocks of YOLOv5n have 11 units: 1 + 2 + 3 + 1 in the backbone, 4 in the neck.
    assert len(gates) == 2 + 11 + 1
    with torch.no_grad():
        for gate in gates:
            gate.fill_(1.0)
    assert not torch.equal(output(attended), expected)


@pytest.mark.parametrize("place", ["model.0.conv", "model.2.cv1.bn", "model.17.m.0.cv2", "model.9"])
def test_attention_attached_anywhere_stays_when_normalisations_are_folded(place: str) -> None:
    detector = load_model(ROOT / "weights" / "yolov5n-digits.pt")
    plain = output(detector)
    attended = attach(detector, {place: "SimAM"}, IMAGE)
    expected = output(attended)
    assert (expected - plain).abs().max() > 0.1
    fused = copy.deepcopy(attended).fuse(verbose=False)
    assert fused.is_fused()
    torch.testing.assert_close(output(copy.deepcopy(fused)), expected, rtol=1e-4, atol=1e-2)


def test_gradient_reaches_the_gate_and_then_the_mechanism() -> None:
    detector = build_model("yolov5n", attention=["SE@9"], identity=True).train()
    gate = detector.get_parameter("model.9+SE.gamma")
    inner = [p for n, p in detector.named_parameters() if n.startswith("model.9+SE.attention")]
    image = torch.rand(2, 3, 64, 64)
    sum(level.pow(2).mean() for level in detector(image)).backward()
    assert gate.grad is not None
    assert gate.grad.abs() > 0
    with torch.no_grad():
        gate.sub_(gate.grad.sign())
    detector.zero_grad()
    sum(level.pow(2).mean() for level in detector(image)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in inner)


def test_copies_and_pickles() -> None:
    detector = build_model("yolov5n", attention=[{"module": "SE", "inside": "C3"}, {"module": "CBAM", "at": 9}])
    expected = output(detector)
    assert torch.equal(output(copy.deepcopy(detector)), expected)
    assert torch.equal(output(pickle.loads(pickle.dumps(detector))), expected)


def test_description_is_self_contained() -> None:
    detector = build_model("cfg/attention/yolov5n-cbam.yaml", nc=3, attention=["SE@backbone.P4"])
    again = build_model(detector.spec.yaml)
    assert again.state_dict().keys() == detector.state_dict().keys()
    assert [(x.name, x.reads) for x in again.spec.layers] == [(x.name, x.reads) for x in detector.spec.layers]


def test_augmented_prediction_keeps_boxes_in_pixels() -> None:
    detector = build_model("yolov5n", nc=2).eval()
    with torch.no_grad():
        plain, augmented = detector(IMAGE)[0], detector.predict(IMAGE, augment=True)[0]
    assert augmented.shape[1] == plain.shape[1]
    assert augmented.shape[2] > plain.shape[2]
    assert torch.isfinite(augmented).all()


def test_construction_errors_name_the_row() -> None:
    with pytest.raises(SpecError, match=r"attention\[0\].*SE has no option 'ratio'"):
        build_model("yolov5n", attention=[{"module": "SE", "at": 9, "args": {"ratio": 4}}])


def test_anchors_follow_the_order_of_the_strides() -> None:
    import yaml

    from models.spec.base_files import CFG

    data = yaml.safe_load((CFG / "yolov5" / "yolov5.yaml").read_text())
    straight = build_model({**data, "scale": "n"}).model[-1].anchor_wh
    flipped = build_model({**data, "scale": "n", "anchors": data["anchors"][::-1]}).model[-1].anchor_wh
    assert torch.equal(straight, flipped)


@pytest.mark.filterwarnings("ignore")  # tracing is old
def test_a_trace_is_not_bound_to_the_device_on_which_it_was_made(tmp_path):
    model = build_model("yolov5n", nc=2).eval()
    model.model[-1].export = True
    traced = torch.jit.trace(model, torch.rand(1, 3, 64, 64))
    graph = str(traced.inlined_graph)
    # What `arange` makes on the device of the trace is taken to that of the maps.
    assert graph.count("aten::type_as") >= graph.count("aten::arange") > 0


@pytest.mark.parametrize(
    ("module", "args", "expected"),
    [
        ("C3", [16, True, 1, 0.5, 16], r"5 arguments, but it takes at most 4: \[c2, shortcut, g, e\]"),
        ("C3CBAM", [16, True, 1, 0.5, 16], r"5 arguments, but it takes at most 4: \[c2, shortcut, g, e\]"),
        ("Conv", [16, 3, 1, 1, 1, 1, True, 1], r"8 arguments, but it takes at most 7: \[c2, k, s, p, g, d, act\]"),
    ],
)
def test_too_many_arguments_are_counted_as_a_row_has_them(
    module: str, args: list[Any], expected: str, small: dict[str, Any]
) -> None:
    small["backbone"][4] = [-1, 1, module, args]
    with pytest.raises(SpecError, match=f"row 4 .*cannot be constructed: {expected}"):
        build_model(small)


def test_layers_that_fail_together_are_named_by_row(small: dict[str, Any]) -> None:
    small["backbone"][4] = [-1, 1, "nn.MaxPool2d", [9, 1, 0]]  # takes the border off, so that nothing is left
    with pytest.raises(SpecError, match=r"row \d+ .*: layers do not fit one another"):
        build_model(small)
