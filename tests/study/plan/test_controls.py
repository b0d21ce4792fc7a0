"""Controls: matched in size, at the same positions, with the same start; refused where nothing so small exists."""

from typing import Any

import pytest
import torch

from attention import ATTENTION, IdentityStart, build_attention
from engine.errors import UsageError
from models import build_model, read_spec
from study.plan.controls import BLOCK, control, match_parameters

MECHANISMS = [name for name in ATTENTION.names() if name != BLOCK]


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def block_size(channels: int, hidden: int, kernel: int) -> int:
    """conv 1×1, batch normalisation, conv k×k, counted by hand."""
    return channels * hidden + 2 * hidden + hidden * channels * kernel**2


def test_the_block_has_the_parameters_that_the_formula_says() -> None:
    for channels, hidden, kernel in ((16, 3, 1), (64, 5, 3), (7, 1, 1)):
        block = build_attention(BLOCK, channels, hidden=hidden, kernel_size=kernel)
        assert parameters(block) == block_size(channels, hidden, kernel)
        assert block(torch.rand(2, channels, 5, 4)).shape == (2, channels, 5, 4)
    with pytest.raises(ValueError, match="kernel_size=2 is even"):
        build_attention(BLOCK, 8, kernel_size=2)
    with pytest.raises(ValueError, match="hidden=0"):
        build_attention(BLOCK, 8, hidden=0)


def test_a_hand_worked_match() -> None:
    # 64 channels: a 3×3 block has 642 parameters a hidden channel, a 1×1 block 130.
    match = match_parameters(6500, [64])
    assert (match.hidden, match.kernel_size, match.got, match.step) == (10, 3, 6420, 642)
    match = match_parameters(500, [64])
    assert (match.hidden, match.kernel_size, match.got) == (4, 1, 520)
    with pytest.raises(ValueError, match=r"5 parameters are too few for a control: the smallest .* there has 130"):
        match_parameters(5, [64])


@pytest.mark.parametrize("channels", [16, 64, 256])
@pytest.mark.parametrize("name", MECHANISMS)
def test_every_mechanism_is_matched_or_refused(name: str, channels: int) -> None:
    size = parameters(build_attention(name, channels))
    smallest = block_size(channels, 1, 1)
    if 2 * size < smallest:
        with pytest.raises(ValueError, match="too few for a control"):
            match_parameters(size, [channels])
        return
    match = match_parameters(size, [channels])
    block = build_attention(BLOCK, channels, hidden=match.hidden, kernel_size=match.kernel_size)
    step = block_size(channels, 1, match.kernel_size)
    assert abs(parameters(block) - size) <= max(0.02 * size, step)


def test_mechanisms_without_size_are_refused_by_name() -> None:
    for name in ("SimAM", "ECA"):
        with pytest.raises(UsageError, match=f"no control for 'v': {name} at 64 channels: .* leave it out of controls"):
            control(read_spec("yolov5n", [f"{name}@neck.P3"]), "v")


def test_mechanisms_of_libraries_have_controls() -> None:
    # 64 channels squeezed to max(64 // 16, 8) = 8 and back, both convolutions with a bias.
    size = 64 * 8 + 8 + 8 * 64 + 64
    spec = read_spec("yolov5n", ["torchvision.ops.SqueezeExcitation@neck.P3"], identity=True)
    yaml, (match,) = control(spec, "v")
    assert match.target == size
    assert abs(match.got - size) <= max(0.02 * size, match.step)
    entry = yaml["attention"][0]
    assert (entry["module"], entry["identity"]) == (BLOCK, True)
    with pytest.raises(UsageError, match=r"no control for 'v': torch\.nn\.SiLU at 64 channels: 0 parameters are"):
        control(read_spec("yolov5n", ["nn.SiLU@neck.P3"]), "v")


@pytest.mark.parametrize(
    "attention",
    [
        ["SKAttention@neck.P3,neck.P4,neck.P5"],
        ["CBAM@inside:backbone.C3", "SE@between:4,16"],
        ["SE{reduction: 4}@inside/last:neck.C3", "GAM@9", "SE@9"],
    ],
)
def test_a_control_stands_at_the_same_places(attention: list[str]) -> None:
    spec = read_spec("yolov5n", attention)
    yaml, matches = control(spec, "v")
    base, variant, control_model = (build_model(cfg) for cfg in ("yolov5n", spec.yaml, yaml))
    own, other = parameters(variant) - parameters(base), parameters(control_model) - parameters(base)
    assert sum(match.target for match in matches) == own
    assert sum(match.got for match in matches) == other
    largest = max(match.step for match in matches)
    assert abs(own - other) <= max(0.02 * own, largest)
    positions = [(layer.name.partition("+")[0], layer.reads, len(layer.inside)) for layer in spec.layers]
    expected = [(name, tuple(r.partition("+")[0] for r in reads), n) for name, reads, n in positions]
    placed = [
        (layer.name.partition("+")[0], tuple(r.partition("+")[0] for r in layer.reads), len(layer.inside))
        for layer in control_model.spec.layers
    ]
    assert placed == expected
    used = {layer.module for layer in control_model.spec.layers if layer.attention is not None}
    assert used <= {BLOCK}


def test_a_control_of_hand_written_rows_takes_their_place() -> None:
    base = dict(read_spec("yolov5n").yaml)
    # In place of row 9 (SPPF), whose input and output have the same channels.
    backbone = [*base["backbone"][:9], [-1, 1, "CBAM", []]]
    spec = read_spec({**base, "backbone": backbone, "identity": True})
    yaml, (match,) = control(spec, "v")
    row = read_spec(yaml).layers[9]
    assert row.module == BLOCK
    assert row.attention is not None
    assert row.attention.identity
    assert match.target == parameters(build_attention("CBAM", 256))


@pytest.mark.parametrize("identity", [True, False])
def test_a_control_starts_as_its_variant_does(identity: bool) -> None:
    x = torch.rand(1, 3, 64, 64)
    spec = read_spec("yolov5n", ["SKAttention@neck.P3"], identity=identity)
    yaml, _ = control(spec, "v")
    base, control_model = build_model("yolov5n").eval(), build_model(yaml).eval()
    with torch.no_grad():
        same = torch.equal(base(x)[0], control_model(x)[0])
    assert same is identity


def test_a_mechanism_that_always_starts_at_identity_gets_a_control_that_does() -> None:
    name = next(n for n in MECHANISMS if starts_there(n) and parameters(build_attention(n, 64)) > 200)
    yaml, _ = control(read_spec("yolov5n", [f"{name}@neck.P3"]), "v")
    control_model: Any = build_model(yaml)
    assert isinstance(control_model.model.get_submodule(f"17+{BLOCK}"), IdentityStart)


def starts_there(name: str) -> bool:
    return bool(getattr(build_attention(name, 64), "starts_at_identity", False))
