"""Any valid description with any placement keeps the invariants; any garbage ends in one clear line."""

import copy
import math
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import ModelSpec, SpecError, build_model, read_spec
from models.spec.yaml_reader import parse_yaml

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=2600, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def descriptions(draw: st.DrawFn) -> dict[str, Any]:
    """A valid YOLOv5-like model: a chain of random depth, a top-down path with laterals, a head of two levels."""
    width = draw(st.sampled_from([8, 16]))
    block = st.sampled_from(["C3", "C2f", "Bottleneck", "C1", "C3x"])
    rows: list[list[Any]] = []
    stages: list[int] = []
    for _ in range(3):
        rows.append([-1, 1, "Conv", [width, 3, 2]])
        for _ in range(draw(st.integers(0, 2))):
            rows.append([-1, draw(st.integers(1, 2)), draw(block), [width]])
        stages.append(len(rows) - 1)
    backbone = len(rows)
    lateral, deep = stages[1], stages[2]
    rows.append([-1, 1, "nn.Upsample", [None, 2, "nearest"]])
    rows.append([[-1, draw(st.sampled_from([lateral, lateral - len(rows)]))], 1, "Concat", [1]])
    rows.append([-1, 1, draw(block), [width]])
    fine = len(rows) - 1
    rows.append([-1, 1, "Conv", [width, 3, 2]])
    rows.append([[-1, deep], 1, "Concat", [1]])
    rows.append([-1, 1, "C3", [width]])
    rows.append([[fine, len(rows) - 1], 1, "Detect", ["nc", "anchors"]])
    anchors = [[4, 5, 8, 10], [16, 20, 32, 40]]
    return {"nc": draw(st.integers(1, 4)), "anchors": anchors, "backbone": rows[:backbone], "head": rows[backbone:]}


@st.composite
def placements(draw: st.DrawFn, spec: ModelSpec) -> list[dict[str, Any]]:
    """Some entries that fit a model."""
    rows = [int(layer.name) for layer in spec.layers[:-1]]
    connections = [(int(name), int(layer.name)) for layer in spec.layers for name in layer.reads if name != "image"]
    blocks = [int(layer.name) for layer in spec.layers[:-1] if layer.module not in ("Concat", "nn.Upsample")]
    entries = []
    for _ in range(draw(st.integers(0, 4))):
        entry: dict[str, Any] = {"module": draw(st.sampled_from(["SE", "ECA", "CBAM", "torch.nn.Identity"]))}
        form = draw(st.sampled_from(["at", "inside", "between"]))
        if form == "at":
            entry["at"] = draw(st.lists(st.sampled_from(rows), min_size=1, max_size=3, unique=True))
        elif form == "inside":
            entry |= {"inside": draw(st.sampled_from(blocks)), "where": draw(st.sampled_from(["each", "last"]))}
        else:
            entry["between"] = list(draw(st.sampled_from(connections)))
        entry["identity"] = draw(st.booleans())
        entries.append(entry)
    return entries


def root(spec: ModelSpec, name: str) -> str:
    """Return the base layer whose map a placed layer passes on."""
    while name != "image" and not spec.layer(name).is_base:
        (name,) = spec.layer(name).reads
    return name


def check_invariants(base: ModelSpec, placed: ModelSpec, entries: list[dict[str, Any]]) -> None:
    """Base layers stay, in order; through attention they read what they read; nothing reads what comes later."""
    assert [layer.name for layer in placed.layers if layer.is_base] == [layer.name for layer in base.layers]
    names = [layer.name for layer in placed.layers]
    assert len(set(names)) == len(names)
    seen = {"image"}
    for layer in placed.layers:
        assert set(layer.reads) <= seen
        seen.add(layer.name)
        if layer.is_base:
            before = base.layer(layer.name)
            assert tuple(root(placed, name) for name in layer.reads) == before.reads
            assert (layer.call, layer.module, layer.args) == (before.call, before.module, before.args)
        else:
            assert layer.channels == placed.layer(layer.reads[0]).channels
    expected = sum(len(entry.get("at", [])) + ("between" in entry) for entry in entries)
    assert len(placed.layers) == len(base.layers) + expected
    assert sum(len(layer.inside) for layer in placed.layers) == sum("inside" in entry for entry in entries)
    again = read_spec(dict(placed.yaml))
    assert [(x.name, x.reads, x.call) for x in again.layers] == [(x.name, x.reads, x.call) for x in placed.layers]


@QUICK
@given(st.data())
def test_any_placement_keeps_the_graph(data: st.DataObject) -> None:
    description = data.draw(descriptions())
    base = read_spec(description)
    entries = data.draw(placements(base))
    check_invariants(base, read_spec(description, entries), entries)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_placement_shares_initial_values_and_runs(data: st.DataObject) -> None:
    description = data.draw(descriptions())
    entries = data.draw(placements(read_spec(description)))
    base = build_model(description, seed=5)
    detector = build_model(description, attention=entries, seed=5)
    state = detector.state_dict()
    assert all(torch.equal(state[name], value) for name, value in base.state_dict().items())
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        found, expected = detector.eval()(image)[0], base.eval()(image)[0]
    assert found.shape == expected.shape
    if all(entry["identity"] for entry in entries):
        assert torch.equal(found, expected)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-30, 30),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["Conv", "C3", "Concat", "Detect", "nn.Upsample", "nc", "anchors", "CBAM", "-1", "None", "nn.SiLU()"]
    ),
)
garbage = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4),
    max_leaves=12,
)
KEYS = ["nc", "anchors", "backbone", "head", "scales", "scale", "width_multiple", "depth_multiple", "activation"]
KEYS += ["attention", "identity", "names", "ch", "name", "base", "end2end", "reg_max", "inplace", "channels"]


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A valid description with some values anywhere in it replaced by garbage."""
    description = copy.deepcopy(draw(descriptions()))
    for _ in range(draw(st.integers(1, 3))):
        where: Any = description
        while True:
            if isinstance(where, dict):
                key: Any = (
                    draw(st.sampled_from(KEYS)) if where is description else draw(st.sampled_from(list(where) or ["x"]))
                )
            elif isinstance(where, list) and where:
                key = draw(st.integers(0, len(where) - 1))
            else:
                break
            inner = where.get(key) if isinstance(where, dict) else where[key]
            if not isinstance(inner, list | dict) or draw(st.integers(0, 3)) == 0:
                where[key] = draw(garbage)
                break
            where = inner
    return description


def check_message(error: SpecError, start: str = "") -> None:
    """One printable line of bearable length."""
    assert str(error).startswith(start)
    assert str(error).isprintable()
    assert 0 < len(str(error)) <= 2000


def check_garbage(description: dict[str, Any]) -> None:
    """Either one line that says what is wrong, or a model that runs."""
    try:
        detector = build_model(description)
    except SpecError as error:
        check_message(error)
        return
    size = 2 * max(32, int(detector.stride.max()))
    if size <= 256 and sum(p.numel() for p in detector.parameters()) < 5e6:
        with torch.no_grad():
            decoded = detector.eval()(torch.rand(1, detector.spec.ch, size, size))[0]
        assert decoded.shape[1] >= 4 + min(detector.nc, 1)
        assert math.isfinite(sum(detector.stride.tolist()))


@QUICK
@given(broken())
def test_broken_descriptions(description: dict[str, Any]) -> None:
    check_garbage(description)


@QUICK
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_text_that_is_no_yaml(text: str | bytes) -> None:
    try:
        data = parse_yaml(text, "mine.yaml")
    except SpecError as error:
        check_message(error, "mine.yaml: ")
        return
    with pytest.raises(SpecError):
        read_spec(data)


@QUICK
@given(st.text(max_size=60) | garbage)
def test_any_entry(entry: Any) -> None:
    description = {
        "nc": 2,
        "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "C3", [8]]],
        "head": [[[1], 1, "Detect", ["nc"]]],
    }
    try:
        read_spec({**description, "attention": [entry]})
    except SpecError as error:
        check_message(error)


@pytest.mark.slow
@LONG
@given(broken())
def test_many_broken_descriptions(description: dict[str, Any]) -> None:
    check_garbage(description)


@pytest.mark.slow
@LONG
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), garbage, max_size=8))
def test_many_mappings(description: dict[str, Any]) -> None:
    text = yaml.safe_dump(description)
    try:
        data = parse_yaml(text, "mine.yaml")
        spec = read_spec(data)
    except SpecError as error:
        check_message(error)
        return
    assert spec.layers
