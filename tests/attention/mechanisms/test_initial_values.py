"""Initial values against the authors': root mean squares at 256 channels, taken from their code."""

import pytest
import torch

from attention import build_attention

# Mechanism → parameter → root mean square in the authors' code at 256 channels; 0 is exact, bias or not.
AUTHORS: dict[str, dict[str, float]] = {
    "LSKA": {"strips.0.weight": 0.8165, "strips.2.weight": 0.8165, "strips.0.bias": 0, "project.weight": 0.0884},
    "CAFM": {
        "temperature": 1,
        "qkv.weight": 0.0361,
        "local.weight": 0.111,
        "out.weight": 0.0361,
        "mix.weight": 0.118,
        "conv.weight": 0.037,
        "conv.bias": 0.037,
    },
    "SHSA": {"qkv.conv.weight": 0.0786, "out.conv.weight": 0.0361, "out.bn.weight": 0, "out.bn.bias": 0},
    "DeformableLKA": {
        "near.weight": 0.1155,
        "near.offsets.weight": 0.0072,
        "far.weight": 0.0822,
        "far.offsets.weight": 0.0052,
        "project.weight": 0.0361,
    },
    "AIFI": {
        "query_key.weight": 0.0442,
        "query_key.bias": 0,
        "value.weight": 0.0442,
        "value.bias": 0,
        "out.weight": 0.0361,
        "out.bias": 0,
        "fc1.weight": 0.0361,
    },
    "SEAM": {"mix.0.0.weight": 0.1925, "mix.1.weight": 0.0361, "gate.fc1.weight": 0.0361, "gate.fc2.weight": 0.144},
    "CloAtt": {"branches.0.qkv.weight": 0.0361, "branches.0.local.weight": 0.0825, "out.weight": 0.0361},
    "SCSA": {"strips.0.weight": 0.333, "strips.3.weight": 0.1925, "query.weight": 0.577, "norm_rows.bias": 0},
    "iRMB": {"query_key.weight": 0.0361, "local.conv.weight": 0.1925, "project.weight": 0.0361},
    "CascadedGroupAttention": {
        "bias": 0,
        "qkv.0.conv.weight": 0.0722,
        "local.0.conv.weight": 0.1155,
        "out.bn.weight": 0,
    },
    "EfficientAdditive": {"importance": 1, "query.weight": 0.02, "query.bias": 0, "out.weight": 0.02, "out.bias": 0},
    "FocusedLinear": {"scale": 0, "table": 0, "qkv.weight": 0.02, "qkv.bias": 0, "local.weight": 0.1155},
    "MSDA": {"qkv.weight": 0.0361, "out.weight": 0.02, "out.bias": 0},
    "PSA": {"cv1.conv.weight": 0.0361, "attn.qkv.conv.weight": 0.051, "attn.pe.conv.weight": 0.1925},
    "ExternalAttention": {
        "embed.weight": 0.0884,
        "key.weight": 0.0884,
        "value.weight": 0.0884,
        "out.conv.weight": 0.0884,
    },
    "PolarizedSelfAttention": {
        "channel_query.weight": 0.0884,
        "channel_value.weight": 0.0884,
        "position_query.weight": 0.0884,
        "position_value.weight": 0.0884,
        "channel_out.0.weight": 0.051,
    },
    "SOCA": {"fc1.weight": 0.0361, "fc1.bias": 0.0361, "fc2.weight": 0.102},
    "AggregatedAttention": {
        "temperature": 4.151,
        "embedding": 0.02,
        "near": 0.0004,
        "tokens": 0.02,
        "token_bias": 0,
        "query.weight": 0.02,
        "query.bias": 0,
        "key_value.weight": 0.02,
        "reduce.weight": 0.0884,
        "reduce.bias": 0,
        "fc1.weight": 0.02,
        "fc2.weight": 0.02,
        "out.weight": 0.02,
    },
    "CAA": {
        "mix1.conv.weight": 0.0884,
        "mix1.conv.bias": 0,
        "row.weight": 0.0266,
        "row.bias": 0,
        "column.weight": 0.0266,
    },
}


@pytest.mark.parametrize("name", AUTHORS)
def test_initial_values_are_the_authors(name: str) -> None:
    torch.manual_seed(0)
    found = dict(build_attention(name, 256).named_parameters())
    for key, expected in AUTHORS[name].items():
        value = found[key].detach()
        if expected == 0:
            assert not value.any(), key
            continue
        # Of n draws the root mean square varies by about 1 / √(2n).
        tolerance = max(0.03, 4 / (2 * value.numel()) ** 0.5)
        assert value.square().mean().sqrt().item() == pytest.approx(expected, rel=tolerance), key


def test_the_gate_of_parnet_has_no_bias_unless_asked_for() -> None:
    assert build_attention("ParNetAttention", 16).gate.bias is None
    assert build_attention("ParNetAttention", 16, bias=True).gate.bias is not None
