"""The cost table: counts that can be worked out by hand, and the command."""

import pytest
import torch
from torch import nn

from attention import build_attention
from attention.docs import cost_table, runtimes
from attention.flops import count_flops


def test_parameters_and_flops_of_se_by_hand() -> None:
    module, x = build_attention("SE", 64, reduction=16).eval(), torch.randn(2, 64, 9, 7)
    assert cost_table.parameters(module) == 64 * 4 + 4 + 4 * 64 + 64
    assert count_flops(module, x) == 2 * 2 * (64 * 4 + 4 * 64)


def test_flops_include_the_products_of_attention() -> None:
    module, x = build_attention("SelfAttention2D", 32).eval(), torch.randn(1, 32, 6, 8)
    n = 6 * 8
    assert count_flops(module, x) == 2 * (n * 32 * 96 + n * 32 * 32 + 2 * n * n * 32)


def test_kept_memory_by_hand() -> None:
    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.exp()  # keeps its result
            return y * x  # keeps both factors, of which one is the input and the other is kept already

    assert cost_table.backward_memory(Square(), torch.randn(1, 4, 5, 6)) == pytest.approx(1)


def test_self_attention_keeps_no_matrix_of_all_pairs() -> None:
    x = torch.randn(1, 32, 40, 40)
    pairs = (40 * 40) ** 2 / x.numel()  # of one head, in maps
    for name in ("NonLocal", "MHSA2D", "SelfAttention2D", "AreaAttention", "DeformableAttention", "DANet"):
        module = build_attention(name, 32)
        assert cost_table.backward_memory(module, x) < pairs * getattr(module, "heads", 1) / 2, name


def test_the_command_prints_a_row_per_size(capsys: pytest.CaptureFixture[str]) -> None:
    cost_table.main(["SE", "ChannelAttention", "--repeats", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * len(cost_table.SIZES)
    assert lines[2].startswith("| SE | 64 | 80×80 | 580 | 0.0 | 0.0 |")


def test_times_of_every_runtime_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cost_table.measured_cells("SE", (16, 64, 64), repeats=3)
    assert len(cells) == len(cost_table.TIMED)
    shown = dict(zip(runtimes.RUNTIMES, cells[3:], strict=True))
    assert {name for name, cell in shown.items() if cell != "–"} == set(runtimes.installed())
    monkeypatch.setattr(runtimes, "installed", list)
    assert cost_table.measured_cells("SE", (16, 64, 64), repeats=1)[3:] == ["–"] * len(shown)


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cost_table.main(["CBAMM"])
    assert stop.value.code == 2
    assert "did you mean CBAM" in capsys.readouterr().err
