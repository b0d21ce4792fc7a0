"""The registry, build_attention and the identity wrapper."""

import pytest
import torch
from torch import nn

from attention import ATTENTION, IdentityStart, build_attention
from attention.registry import Registry
from models.catalog.mechanisms import canonical


def test_a_registry_finds_names_and_aliases_and_refuses_duplicates() -> None:
    registry: Registry[str] = Registry("thing")
    assert registry.register("Alpha", "First")("a") == "a"
    assert registry["Alpha"] == registry.get("First") == "a"
    assert registry.names() == ["Alpha"]
    assert registry.aliases() == {"First": "Alpha"}
    assert "First" in registry
    assert "Beta" not in registry
    for taken in ("Alpha", "First"):
        with pytest.raises(ValueError, match=f"thing '{taken}' is registered already, as 'Alpha'"):
            registry.register(taken)("b")


def test_a_miss_suggests_near_names() -> None:
    with pytest.raises(ValueError, match=r"unknown attention mechanism 'CBAMM'; did you mean CBAM"):
        build_attention("CBAMM", 64)
    with pytest.raises(ValueError, match=r"there are: .*CBAM.*SE"):
        build_attention("xyzzy", 64)


def test_channel_attention_is_an_alias_of_se() -> None:
    assert ATTENTION["ChannelAttention"] is ATTENTION["SE"]


def test_a_wrong_option_names_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=r"SE has no option 'reductoin'; did you mean 'reduction'.*min_hidden"):
        build_attention("SE", 64, reductoin=8)


@pytest.mark.parametrize("channels", [0, -1, 2.5, "64", True, None])
def test_channels_must_be_a_whole_positive_number(channels: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number of at least 1"):
        build_attention("SE", channels)  # type: ignore[arg-type]


def test_a_value_of_the_wrong_type_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="SE: an option has a value of the wrong type"):
        build_attention("SE", 64, reduction="8")


def test_identity_start_is_exact_and_learns() -> None:
    class Double(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    wrapped, x = IdentityStart(Double()), torch.randn(2, 3, 4, 5)
    assert torch.equal(wrapped(x), x)
    wrapped(x).sum().backward()
    assert wrapped.gamma.grad is not None
    torch.testing.assert_close(wrapped.gamma.grad, x.sum())
    with torch.no_grad():
        wrapped.gamma.fill_(1)
    assert torch.equal(wrapped(x), 2 * x)


def test_identity_wraps_only_what_does_not_start_there() -> None:
    assert isinstance(build_attention("SE", 16, identity=True), IdentityStart)
    assert type(build_attention("SE", 16, gate="2sigmoid", identity=True)) is ATTENTION["SE"]
    assert type(build_attention("SE", 16)) is ATTENTION["SE"]


@pytest.mark.parametrize(
    ("name", "written"), [("CALayer", "is SE, coordinate"), ("sSE", "SCSE has it"), ("ABlock", "AreaAttention and two")]
)
def test_a_class_of_another_paper_is_no_other_spelling(name: str, written: str) -> None:
    with pytest.raises(ValueError, match=f"unknown attention mechanism '{name}'; .*{written}"):
        build_attention(name, 16)
    with pytest.raises(ValueError, match=f"unknown attention mechanism '{name}'; .*{written}.*--plugin FILE"):
        canonical(name)


@pytest.mark.parametrize("name", ["PSA_s", "psa_S", "PSA-s", "sequential_polarized_self_attention"])
def test_an_alias_with_an_option_keeps_it_in_every_spelling(name: str) -> None:
    assert build_attention(name, 16).order == "sequential"
    assert build_attention(name, 16, order="parallel").order == "parallel"
    assert build_attention("PolarizedSelfAttentionBlock", 16).order == "parallel"


def test_timms_names_of_options_are_synonyms() -> None:
    assert build_attention("SE", 64, rd_ratio=1 / 8).fc1.out_features == 8
    for width in (1, 3, 6, 7, 64):
        assert build_attention("SE", 64, rd_channels=width).fc1.out_features == width
        assert build_attention("NonLocal", 100, rd_channels=width).g.out_channels == width
    assert build_attention("CBAM", 64, rd_ratio=0.25, gate_layer="2sigmoid").starts_at_identity
    with pytest.raises(ValueError, match="SE: rd_ratio and reduction say the same"):
        build_attention("SE", 64, rd_ratio=0.5, reduction=2)
    with pytest.raises(ValueError, match="SE: rd_channels=0, expected a positive number"):
        build_attention("SE", 64, rd_channels=0)
    with pytest.raises(ValueError, match="SimAM has no option 'rd_ratio'"):
        build_attention("SimAM", 64, rd_ratio=0.5)
