"""Where windows lie, and what the numbers of mechanisms mean whose shapes do not tell."""

import numpy as np
import pytest
import torch
from torch import nn

from attention.registry import construct
from engine.inspection.arrangements import regions, runs, square_windows
from engine.inspection.attended_maps import attended_map
from engine.inspection.gate_values import Gate, Pairs, Windows
from engine.inspection.gates import read_gates
from engine.inspection.places import AttentionPlace


def read(module, x):
    return read_gates(nn.Sequential(module.eval()), [AttentionPlace("0", "", "0", "", "")], x)[0]


def test_windows_by_hand():
    """Of a map of 4 × 4 positions, 0 to 15, and one of 3 × 3 that is padded."""
    whole = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert square_windows(2, (1, 1, 4, 4)).tolist() == whole
    apart = [[0, 2, 8, 10], [1, 3, 9, 11], [4, 6, 12, 14], [5, 7, 13, 15]]
    assert square_windows(2, (1, 1, 4, 4), spread=True).tolist() == apart
    padded = [[0, 1, 3, 4], [2, -1, 5, -1], [6, 7, -1, -1], [8, -1, -1, -1]]
    assert square_windows(2, (1, 1, 3, 3)).tolist() == padded
    assert runs(2, (1, 1, 3, 3)).tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, -1]]
    assert regions(2, (1, 1, 3, 4)).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, -1, -1], [10, 11, -1, -1]]


@pytest.mark.parametrize(("name", "options"), [("CascadedGroupAttention", {"window": 3}), ("AreaAttention", {})])
def test_a_position_attends_to_what_its_output_depends_on(name, options):
    """Which positions change the output is found by gradients, without the shortcut and the convolution behind."""
    torch.manual_seed(0)
    module = construct(name, 16, **options).eval()
    if name == "AreaAttention":
        nn.init.zeros_(module.position.conv.weight)
        nn.init.zeros_(module.position.bn.bias)
    else:
        nn.init.ones_(module.out.bn.weight)
    x = torch.randn(2, 16, 4, 6, requires_grad=True)
    row, column = 1, 4
    module(x)[1, :, row, column].sum().backward()
    depends = x.grad[1].abs().sum(0).numpy() > 0
    result = read(module, x.detach())
    shown = attended_map(result.gates[-1], result.input_shape, 1, row, column)
    assert 1 < depends.sum() < 24
    assert ((shown > 0) == depends).all()
    assert 0 < shown.sum() <= 1.00001  # windows of 3 × 3 attend to padding below the 4 rows too


def test_routed_regions_by_the_formula():
    """BiFormer's attention of one position: softmax of q · k over the positions of the k regions nearest to its own."""
    torch.manual_seed(0)
    module = construct("BiLevelRouting", 16, heads=2, regions=3, top_k=2).eval()
    x = torch.randn(2, 16, 6, 6)
    result = read(module, x)
    with torch.no_grad():
        query, key, _ = module.qkv(x)[1].chunk(3)
    cut = [part.reshape(16, 3, 2, 3, 2).mean((2, 4)).flatten(1) for part in (query, key)]
    row, column = 4, 1  # in region 6
    nearest = (cut[0][:, 6] @ cut[1]).topk(2).indices.tolist()
    expected = np.zeros((6, 6))
    for head in (slice(0, 8), slice(8, 16)):
        logits = torch.full((6, 6), float("-inf"))
        for region in nearest:
            at = slice(region // 3 * 2, region // 3 * 2 + 2), slice(region % 3 * 2, region % 3 * 2 + 2)
            logits[at] = torch.einsum("c,chw->hw", query[head, row, column], key[(head, *at)]) * 16**-0.5
        expected += logits.flatten().softmax(0).reshape(6, 6).numpy() / 2
    np.testing.assert_allclose(attended_map(result.gates[0], result.input_shape, 1, row, column), expected, atol=1e-6)


def test_dilated_neighbours_by_the_formula():
    torch.manual_seed(0)
    module = construct("MSDA", 16, heads=2, dilations=[1, 2]).eval()
    x = torch.randn(1, 16, 6, 6)
    result = read(module, x)
    with torch.no_grad():
        query, key, _ = module.qkv(x)[0].chunk(3)
    for number, (gate, dilation) in enumerate(zip(result.gates, (1, 2), strict=True)):
        head = slice(8 * number, 8 * number + 8)
        logits = torch.zeros(3, 3)
        for i in range(3):
            for j in range(3):
                at = 3 + dilation * (i - 1), 2 + dilation * (j - 1)
                logits[i, j] = query[head, 3, 2] @ key[(head, *at)] * 8**-0.5
        expected = np.zeros((6, 6))
        span = slice(3 - dilation, 4 + dilation, dilation), slice(2 - dilation, 3 + dilation, dilation)
        expected[span] = logits.flatten().softmax(0).reshape(3, 3).numpy()
        np.testing.assert_allclose(attended_map(gate, result.input_shape, 0, 3, 2), expected, atol=1e-6)


def test_what_goes_to_a_pooled_map_is_spread_over_it():
    """Nine neighbours of 0.05, of which the corner has four, and four cells of 3 × 3 positions."""
    weights = torch.tensor([0.05] * 9 + [0.1, 0.2, 0.25, 0.0]).reshape(1, 1, 13, 1, 1).expand(1, 1, 13, 6, 6)
    shown = attended_map(Gate("neighbours", weights, pooled=(2, 2)), (1, 8, 6, 6), 0, 0, 0)
    assert shown[0, 0] == pytest.approx(0.05 + 0.1 / 9)
    assert shown[0, 3] == pytest.approx(0.2 / 9)
    assert shown[5, 2] == pytest.approx(0.25 / 9)
    assert shown.sum() == pytest.approx(4 * 0.05 + 0.55)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("MCA", ["rows", "columns", "channels"]), ("TripletAttention", ["columns", "rows", "positions"])],
)
def test_a_cube_does_not_confuse_rows_columns_and_channels(name, kinds):
    """Where all three sizes are 8, only what varies along rows makes the gates of rows differ."""
    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 8).reshape(1, 1, 8, 1).expand(1, 8, 8, 8).contiguous()
    gates = read(construct(name, 8), x).gates
    assert [gate.kind for gate in gates] == kinds
    spread = {gate.kind: gate.values[..., 3:5].std().item() for gate in gates[:2]}  # the middle: padding is far
    if name == "MCA":
        assert spread["rows"] > 1e-3 > spread["columns"]


def test_shares_that_are_learned_are_no_gates_of_an_image():
    read_gates_of = read(construct("PolaFormer", 16), torch.randn(2, 16, 5, 4))
    assert [gate.kind for gate in read_gates_of.gates] == ["elements"]


def test_of_unknown_windows_nothing_is_drawn():
    pairs = Pairs(torch.zeros(6, 1, 4, 2), torch.zeros(6, 1, 4, 2), 1.0)
    assert attended_map(Gate("pairs", pairs=pairs), (1, 2, 4, 6), 0, 0, 0) is None
    pairs.windows = Windows(np.array([[0, 1, 4, 5]]), np.array([[8, 9, -1, -1]]))
    pairs.query, pairs.key = pairs.query[:1], pairs.key[:1]
    shown = attended_map(Gate("pairs", pairs=pairs), (1, 2, 4, 4), 0, 1, 1)
    assert np.flatnonzero(shown).tolist() == [8, 9]
    assert shown.sum() == pytest.approx(0.5)
