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


@pytest.mark.parametrize(("name", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_dtype_of_a_precision(name, dtype):
    assert Precision(name, "").dtype is dtype
