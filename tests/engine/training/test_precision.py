"""Which arithmetic is chosen, and why."""

import pytest
import torch

from engine.errors import UsageError
from engine.training.precision import Precision, choose

CPU = torch.device("cpu")
NATIVE, OLD = frozenset({"avx2", "avx512_bf16"}), frozenset({"avx2"})


@pytest.mark.parametrize(
    ("wanted", "flags", "name", "reason"),
    [
        ("auto", NATIVE, "bf16", "the processor has avx512_bf16"),
        ("auto", frozenset({"amx_bf16"}), "bf16", "the processor has amx_bf16"),
        ("auto", OLD, "fp32", "the processor has no bfloat16 instructions"),
        ("off", NATIVE, "fp32", "--amp off"),
        ("bf16", NATIVE, "bf16", "--amp bf16"),
        ("bf16", OLD, "bf16", "--amp bf16; slow, the processor lacks the instructions"),
    ],
)
def test_on_a_cpu(wanted, flags, name, reason):
    chosen = choose(wanted, CPU, flags)
    assert (chosen.name, chosen.reason, chosen.half) == (name, reason, name != "fp32")


def test_fp16_on_a_cpu_names_the_alternative():
    with pytest.raises(UsageError, match="use --amp bf16 or auto"):
        choose("fp16", CPU, NATIVE)


@pytest.mark.parametrize(
    ("card", "native", "wanted", "name", "reason"),
    [
        ("NVIDIA GeForce RTX 3060", True, "auto", "bf16", "native on this GPU"),
        ("Tesla V100-SXM2-16GB", False, "auto", "fp16", "this GPU has no native bfloat16"),
        ("NVIDIA GeForce RTX 2060", False, "auto", "fp16", "this GPU has no native bfloat16"),
        ("Tesla T4", False, "auto", "fp16", "this GPU has no native bfloat16"),
        *(
            (card, False, "auto", "fp32", f"float16 is known to give NaN on {card}")
            for card in ("NVIDIA GeForce GTX 1660 SUPER", "GeForce GTX 1650", "NVIDIA T600 Laptop GPU", "Quadro T2000")
        ),
        ("GeForce GTX 1650", False, "fp16", "fp16", "--amp fp16"),
    ],
)
def test_on_a_gpu(card, native, wanted, name, reason, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: card)
    chosen = choose(wanted, torch.device("cuda", 0))
    assert (chosen.name, chosen.reason) == (name, reason)


@pytest.mark.parametrize(("name", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_dtype_of_a_precision(name, dtype):
    assert Precision(name, "").dtype is dtype
