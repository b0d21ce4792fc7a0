"""Attention at every row of every shipped base, and inside every type of block.

For each place: the resolved graph, the maps that really flow, channels and strides, forward and backward, and that
every tensor of the base transfers. Narrow variants of the bases have the same graph and run in a fraction of the time.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import Detector, ModelSpec, SpecError, build_model, read_spec
from models.source import Source
from models.spec import placement
from models.weight_loading import transfer

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(
    f"{p.parent.name}/{p.stem}" for d in ("yolov5", "yolov7", "torchvision") for p in (ROOT / "cfg" / d).glob("*.yaml")
)
STOCK = ["ultralytics/yolov8n", "ultralytics/yolo11n", "ultralytics/yolov10n"]
MECHANISM = {"module": "SE", "identity": True}


def narrow(name: str) -> dict[str, Any]:
    """Return a base with few channels and the same graph."""
    data = dict(read_spec(name, nc=2).yaml)
    if "scales" in data:
        return {**data, "scales": {"n": [0.33, 0.125, 1024]}, "scale": "n"}
    return {**data, "width_multiple": 0.125, "depth_multiple": 0.33}


def single_maps(spec: ModelSpec) -> list[str]:
    """Return the rows that return one map."""
    return [layer.name for layer in spec.layers if isinstance(layer.channels, int)]


def check_graph(base: ModelSpec, placed: ModelSpec, row: str) -> None:
    """Every other layer must read what it read before, with only the target renamed."""
    new = f"{row}+SE"
    assert [layer.name for layer in placed.layers if layer.name != new] == [layer.name for layer in base.layers]
    assert placed.layer(new).reads == (row,)
    for layer in base.layers:
        expected = tuple(new if name == row else name for name in layer.reads)
        assert placed.layer(layer.name).reads == expected, f"layer {layer.name} reads {placed.layer(layer.name).reads}"
    for layer in base.layers:
        assert placed.layer(layer.name).call == layer.call


def flow(detector: Detector, image: Tensor) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Return what each layer received and returned, by name, and the model's output."""
    received: dict[str, Any] = {}
    returned: dict[str, Any] = {}
    hooks = []
    for name, module in detector.model.named_children():
        # Lists are copied: the heads overwrite the entries of theirs.
        hooks.append(
            module.register_forward_pre_hook(
                lambda _, args, n=name: received.__setitem__(n, list(args[0]) if isinstance(args[0], list) else args[0])
            )
        )
        hooks.append(module.register_forward_hook(lambda _, __, out, n=name: returned.__setitem__(n, out)))
    output = detector(image)
    for hook in hooks:
        hook.remove()
    return received, returned, output


def check_flow(detector: Detector, image: Tensor, expected: Tensor) -> None:
    """Every layer must receive the very maps of the layers that it reads, of the channels and sizes resolved."""
    with torch.no_grad():
        received, returned, output = flow(detector.eval(), image)
    for layer in detector.spec.layers:
        maps = received[layer.name] if layer.reads_list else [received[layer.name]]
        assert len(maps) == len(layer.reads)
        for name, got in zip(layer.reads, maps, strict=True):
            assert got is (image if name == "image" else returned[name]), f"layer {layer.name} did not receive {name}"
        if isinstance(layer.channels, int):
            size = image.shape[-1] // layer.stride
            assert returned[layer.name].shape[1:] == (layer.channels, size, size)
    assert torch.equal(output[0], expected)


def check_training(detector: Detector, image: Tensor) -> None:
    """A gradient must reach the gate of every mechanism, and the first and last layers."""
    torch.stack([m.float().square().mean() for m in tensors(detector.train()(image))]).sum().backward()
    gates = [
        parameter
        for name, parameter in detector.named_parameters()
        if name.endswith("gamma") and "attention" in str(type(parent(detector, name)))
    ]
    assert gates
    for gate in gates:
        assert gate.grad is not None
        assert torch.isfinite(gate.grad)
    first = next(iter(detector.parameters()))
    assert first.grad is not None
    assert torch.isfinite(first.grad).all()


def parent(module: nn.Module, name: str) -> nn.Module:
    """Return the module that holds a parameter."""
    return module.get_submodule(name.rpartition(".")[0])


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists and dictionaries that need a gradient."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def check_transfer(base: Detector, detector: Detector, owner: str) -> tuple[int, int]:
    """Every tensor of the base must arrive, unchanged and under its own name; all that is new is the attention's."""
    state = base.state_dict()
    report = transfer(Source(Path("base.pt"), state, base.names, base.spec, {}), detector)
    assert sorted(report.transferred) == sorted(state)
    assert not report.missing + report.mismatched + report.lost
    assert report.new
    assert all(owner in name for name in report.new)
    after = detector.state_dict()
    assert all(torch.equal(after[name], value) for name, value in state.items())
    return len(report.transferred), report.total


def base_of(cfg: dict[str, Any]) -> tuple[Detector, Tensor, Tensor]:
    """Return a base with statistics and biases that are not neutral, an image and its decoded output."""
    torch.manual_seed(0)
    base = build_model(cfg)
    for module in base.modules():
        if isinstance(module, nn.BatchNorm2d):
            statistics: Any = module
            nn.init.uniform_(statistics.running_mean, -0.1, 0.1)
            nn.init.uniform_(statistics.running_var, 0.5, 1.5)
    image = torch.rand(2, 3, max(64, int(base.stride.max())), max(64, int(base.stride.max())))
    with torch.no_grad():
        return base, image, base.eval()(image)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED + STOCK)
def test_at_every_row(name: str) -> None:
    cfg = narrow(name)
    base, image, expected = base_of(cfg)
    rows = single_maps(base.spec)
    print(f"\n{name}: {len(rows)} rows with one map")
    for row in rows:
        detector = build_model(cfg, attention=[{**MECHANISM, "at": int(row)}], seed=1)
        check_graph(base.spec, detector.spec, row)
        done, total = check_transfer(base, detector, f"{row}+SE")
        check_flow(detector, image, expected)
        check_training(detector, image)
        kind = base.spec.layer(row).module
        print(f"  at {row:>3} {kind:12} transferred {done}/{len(base.state_dict())}, {total - done} new")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED + STOCK)
def test_inside_every_type(name: str) -> None:
    cfg = narrow(name)
    base, image, expected = base_of(cfg)
    kinds = [layer.module for layer in base.spec.layers[:-1]]
    outside = set()
    for kind in sorted(set(kinds)):
        # A type at once; one by one where some of its rows, such as a stem, have no inside.
        for selectors in ([kind], [f"{kind}[{k}]" for k in range(kinds.count(kind))]):
            refused = [s for s in selectors if not check_inside(cfg, s, base, image, expected)]
            if len(refused) < len(selectors):
                break
        else:
            outside.add(kind)
    without = {
        "Concat",
        "nn.Upsample",
        "nn.MaxPool2d",
        "nn.Identity",
        "nn.ConvTranspose2d",
        "MP",
        "SP",
        "ReOrg",
        "Shortcut",
    }
    joined = {"ADown", "DownC", "MPConv"}
    plain = {"TorchvisionStage"} if "vgg" in name else set()  # convolutions without units
    assert outside <= without | joined | plain


def check_inside(cfg: dict[str, Any], selector: str, base: Detector, image: Tensor, expected: Tensor) -> bool:
    """Check attention inside what a selector means; False where there is no inside, which the error must say."""
    try:
        detector = build_model(cfg, attention=[{**MECHANISM, "inside": selector}], seed=1)
    except SpecError as error:
        assert str(error).endswith("use at")  # noqa: PT017 - which types, is checked by the caller
        return False
    done, total = check_transfer(base, detector, "attention")
    check_flow(detector, image, expected)
    check_training(detector, image)
    print(f"  inside {selector:20} transferred {done}/{len(base.state_dict())}, {total - done} new")
    return True


@pytest.mark.parametrize("name", ["yolov5/yolov5", "yolov7/yolov7-tiny", "ultralytics/yolo11n"])
def test_some_rows(name: str) -> None:
    """The walk in small, for every run of the tests."""
    cfg = narrow(name)
    base, image, expected = base_of(cfg)
    rows = single_maps(base.spec)
    for row in rows:
        check_graph(base.spec, read_spec(cfg, [{**MECHANISM, "at": int(row)}]), row)
    for row in (rows[4], rows[-1]):
        detector = build_model(cfg, attention=[{**MECHANISM, "at": int(row)}], seed=1)
        check_transfer(base, detector, f"{row}+SE")
        check_flow(detector, image, expected)
        check_training(detector, image)


@pytest.mark.parametrize("scale", ["n", "s", "m", "l", "x", "n6", "s6", "m6", "l6", "x6"])
def test_graphs_of_all_scales(scale: str) -> None:
    base = read_spec(f"yolov5{scale}")
    for row in single_maps(base):
        check_graph(base, read_spec(f"yolov5{scale}", [{**MECHANISM, "at": int(row)}]), row)


def test_broken_renumbering_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With readers left on the plain map, and with one reader moved to a neighbour, the checks above must fail."""
    cfg = narrow("yolov5/yolov5")
    base, image, expected = base_of(cfg)
    entry = {**MECHANISM, "at": 4}
    with monkeypatch.context() as patch:
        patch.setattr(placement, "_tail", lambda plan, name: name)
        with pytest.raises(AssertionError, match="reads"):
            check_graph(base.spec, read_spec(cfg, [entry]), "4")
    good = placement._tail
    with monkeypatch.context() as patch:
        patch.setattr(placement, "_tail", lambda plan, name: good(plan, "6" if name == "9" else name))
        with pytest.raises(AssertionError, match="reads"):
            check_graph(base.spec, read_spec(cfg, [entry]), "4")
    detector = build_model(cfg, attention=[entry], seed=1)
    check_transfer(base, detector, "4+SE")
    *routes, head = detector.routes
    detector.routes = (*routes, head._replace(sources=[*head.sources[:-1], head.sources[-1] - 3]))
    with pytest.raises((AssertionError, RuntimeError)):
        check_flow(detector, image, expected)


OTHER_TYPES: dict[str, list[Any]] = {
    "Conv": [16, 3],
    "DWConv": [16, 3],
    "GhostConv": [16, 3],
    "Bottleneck": [16],
    "BottleneckCSP": [16],
    "C1": [16],
    "C2": [16],
    "C2f": [16],
    "C2fCIB": [16],
    "C2fPSA": [16],
    "C2PSA": [16],
    "C3": [16],
    "C3Ghost": [16],
    "C3TR": [16],
    "C3k2": [16],
    "C3x": [16],
    "A2C2f": [64, True, 1],
    "ELAN1": [16, 16, 8],
    "RepC3": [16],
    "RepNCSPELAN4": [16, 16, 8, 1],
    "SPP": [16],
    "SPPELAN": [16, 8],
    "SPPF": [16],
    "RepConv": [16],
    "SPPCSPC": [16],
    "ELAN": [16, 8],
}

# PSA is not among them: in a file with anchors the word means attention, as forks write it, which has no inside.


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_inside_one_block(kind: str, small: dict[str, Any]) -> None:
    """Each type as a row of a small model: exact at the start, fused or not; different once the gate opens."""
    small["backbone"][4] = [-1, 2, kind, OTHER_TYPES[kind]]
    base, image, expected = base_of(small)
    for where in ("each", "last"):
        entries = [{**MECHANISM, "inside": 4, "where": where}, {**MECHANISM, "inside": 4, "where": where}]
        detector = build_model(small, attention=entries, seed=1)
        check_transfer(base, detector, "attention")
        check_flow(detector, image, expected)
        with torch.no_grad():
            fused = copy.deepcopy(detector).eval().fuse(verbose=False)
            closed = fused(image)[0]
            assert torch.equal(closed, copy.deepcopy(base).eval().fuse(verbose=False)(image)[0])
            for name, parameter in fused.named_parameters():
                if name.endswith("gamma") and "attention" in name:
                    parameter.fill_(1.0)
            opened = fused(image)[0]
        assert (opened - closed).abs().max() > 1e-5
        check_training(detector, image)


def test_inside_repeated_units_counts(small: dict[str, Any]) -> None:
    """`each` means once a unit, `last` once a block; the channels are those of the place."""
    small["backbone"][2] = [-1, 3, "C3", [16]]
    for where, count, channels in (("each", 3, 8), ("last", 1, 16)):
        detector = build_model(small, attention=[{"module": "SE", "inside": 2, "where": where}])
        weights = [v.shape for k, v in detector.state_dict().items() if k.endswith("attention.fc1.weight")]
        assert len(weights) == count
        assert {shape[1] for shape in weights} == {channels}


def test_what_has_no_inside_says_so(small: dict[str, Any]) -> None:
    for row, reason in ((7, "Upsample has no inside; use at"), (8, "Concat has no inside; use at")):
        with pytest.raises(SpecError, match=rf"attention\[0\].*{reason}"):
            build_model(small, attention=[{"module": "SE", "inside": row}])
    small["backbone"][5] = [-1, 1, "ADown", [32]]
    with pytest.raises(SpecError, match=r"output of ADown is joined from branches.*use at"):
        build_model(small, attention=[{"module": "SE", "inside": 5}])
