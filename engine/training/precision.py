"""Choose the precision of training: fp32, bf16 or fp16, with the reason."""

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import UsageError
from engine.runtime.devices import device_name, fp16_gives_nan

NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # flags of x86 processors, and of 64-bit ARM ones


@dataclass(frozen=True)
class Precision:
    """Name the precision of the forward pass.

    Attributes:
        name: "fp32", "bf16" or "fp16".
        reason: why, for the log.
    """

    name: str
    reason: str

    @property
    def half(self) -> bool:
        """Tell whether autocast is on."""
        return self.name != "fp32"

    @property
    def dtype(self) -> torch.dtype | None:
        """Return what autocast computes in; None where it is off."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.name)


def cpu_flags() -> frozenset[str]:
    """Return the processor's feature flags; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        if line.lower().startswith(("flags", "features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def choose(wanted: str, device: torch.device, flags: frozenset[str] | None = None) -> Precision:
    """Choose the precision of training.

    Args:
        wanted: --amp: "auto", "off", "bf16" or "fp16".
        device: where training runs.
        flags: of the processor; asked from the system by default.

    Raises:
        UsageError: for fp16 on a CPU, or on a device without half precision.
    """
    if wanted == "off":
        return Precision("fp32", "--amp off")
    if device.type == "cpu":
        return _choose_on_cpu(wanted, cpu_flags() if flags is None else flags)
    if device.type != "cuda":
        if wanted == "auto":
            return Precision("fp32", f"half precision is not tried on {device.type}")
        raise UsageError(f"--amp {wanted}: not available on {device.type}; use --amp off")
    fast = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bf16" and not fast:
        raise UsageError("--amp bf16: this GPU has no native bfloat16; use --amp fp16")
    return Precision(wanted, f"--amp {wanted}") if wanted != "auto" else _choose_on_gpu(device, fast)


def _choose_on_gpu(device: torch.device, fast: bool) -> Precision:
    if fast:
        return Precision("bf16", "native on this GPU")
    name = device_name(device)
    if fp16_gives_nan(name):
        return Precision("fp32", f"float16 is known to give NaN on {name}")
    return Precision("fp16", "this GPU has no native bfloat16")


def _choose_on_cpu(wanted: str, flags: frozenset[str]) -> Precision:
    native = sorted(NATIVE_BF16 & flags)
    if wanted == "fp16":
        raise UsageError("--amp fp16: half precision on a CPU is bfloat16; use --amp bf16 or auto")
    if wanted == "bf16":
        return Precision("bf16", "--amp bf16" if native else "--amp bf16; slow, the processor lacks the instructions")
    if native:
        return Precision("bf16", f"the processor has {native[0]}")
    return Precision("fp32", "the processor has no bfloat16 instructions")
