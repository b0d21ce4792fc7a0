"""Time our mechanisms against timm's and the tutorials', alternating in one run: `python -m benchmarks.attention`.

Prints docs/benchmarks/attention.md: for three maps and the median over them, the time of ours divided by that of the
other, forward and training, and the two memory comparisons. Needs timm (requirements-extras.txt). Two minutes on two
cores, longer with more `--seconds`; run it on a quiet machine.
"""

import argparse
import statistics
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import timm
import torch
from timm.layers import EcaModule, GlobalContext, NonLocalAttn, SelectiveKernel, SEModule
from timm.layers.cbam import CbamModule
from timm.layers.coord_attn import CoordAttn
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attention import build_attention
from attention.docs.cost_table import backward_memory
from benchmarks import article_forms as tutorial
from benchmarks.machine import machine


def timm_gc(channels: int) -> nn.Module:
    """timm's global context with the authors' fusion."""
    return GlobalContext(channels, fuse_add=True, fuse_scale=False)


HEADING = """# Attention mechanisms against other implementations

{machine}, timm {timm}; {threads} threads, batch {batch}, float32.

Ours first, then the other, the fastest of alternating calls, and their ratio (below 1: ours is faster); the last
column is the median of the three sizes. "Training" is a forward and a backward pass. "Tutorial" is the form that
articles print (benchmarks/article_forms.py). Written by `python -m benchmarks.attention`.
"""
MEMORY = """
## Memory

At 2×128×40×40, in multiples of the map, ours and then the other: what a training step keeps for its backward pass, and
the most that is alive at once at inference, both without the input and the parameters.

| pair | kept | inference peak |
|---|---:|---:|"""
CALLS = 4
SIZES = ((64, 80), (128, 40), (256, 20))
Build = Callable[[int], nn.Module]
PAIRS: tuple[tuple[str, Build, Build], ...] = (
    ("SE / timm", lambda c: build_attention("SE", c), SEModule),
    ("SE / tutorial", lambda c: build_attention("SE", c, bias=False), tutorial.TutorialSE),
    ("ECA / timm", lambda c: build_attention("ECA", c), EcaModule),
    ("ECA / tutorial", lambda c: build_attention("ECA", c, kernel_size=3), tutorial.TutorialECA),
    ("CBAM / timm", lambda c: build_attention("CBAM", c, bias=False), CbamModule),
    ("CBAM / tutorial", lambda c: build_attention("CBAM", c, kernel_size=3, norm=False), tutorial.TutorialCBAM),
    (
        "SKUnit / timm",
        lambda c: build_attention("SKUnit", c),
        lambda c: SelectiveKernel(c, c, groups=32, split_input=False),
    ),
    ("SKAttention / tutorial", lambda c: build_attention("SKAttention", c), tutorial.TutorialSK),
    ("GAM / tutorial", lambda c: build_attention("GAM", c, channel_gate=False), tutorial.TutorialGAM),
    ("GC / timm", lambda c: build_attention("GC", c, reduction=8), timm_gc),
    ("CoordAtt / timm", lambda c: build_attention("CoordAtt", c), CoordAttn),
    ("NonLocal / timm", lambda c: build_attention("NonLocal", c, reduction=8, subsample=False), NonLocalAttn),
)


def forward(module: nn.Module, x: Tensor) -> Callable[[], Any]:
    """A forward pass in eval mode."""
    module = module.eval()

    def run() -> None:
        with torch.no_grad():
            module(x)

    return run


def training(module: nn.Module, x: Tensor) -> Callable[[], Any]:
    """A forward and backward pass in training mode."""
    module, source, cotangent = module.train(), x.detach().requires_grad_(), torch.randn_like(x)

    def run() -> None:
        module(source).backward(cotangent)
        source.grad = None
        module.zero_grad()

    return run


def fastest(ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Fastest of alternating calls, in milliseconds: other work on the machine only ever adds."""
    best = {ours: float("inf"), theirs: float("inf")}
    for run in best:
        run()
    end, calls = time.perf_counter() + seconds, 0
    while calls < CALLS or time.perf_counter() < end:
        for run in (ours, theirs) if calls % 2 else (theirs, ours):
            start = time.perf_counter()
            run()
            best[run] = min(best[run], 1e3 * (time.perf_counter() - start))
        calls += 1
    return best[ours], best[theirs]


class Peak(TorchDispatchMode):
    """Largest sum of the tensors that were alive at once, in bytes; for passes without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, tuple[int, int]] = {}  # storage → (bytes, tensors on it)
        self.now = self.most = 0

    def _release(self, key: int) -> None:
        size, count = self.alive[key]
        if count > 1:
            self.alive[key] = size, count - 1
        else:
            del self.alive[key]
            self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in self._tensors(out):
            storage = tensor.untyped_storage()
            key = storage.data_ptr()
            size, count = self.alive.get(key, (storage.nbytes(), 0))
            self.now += 0 if count else size
            self.alive[key] = size, count + 1
            weakref.finalize(tensor, self._release, key)
        self.most = max(self.most, self.now)
        return out

    def _tensors(self, out: Any) -> Iterator[Tensor]:
        if isinstance(out, Tensor):
            yield out
        elif isinstance(out, (tuple, list)):
            for part in out:
                yield from self._tensors(part)


def inference_peak(module: nn.Module, x: Tensor) -> int:
    """Peak of one pass, in bytes."""
    with torch.no_grad(), Peak() as peak:
        module.eval()(x)
    return peak.most


def memory(ours: nn.Module, theirs: nn.Module, x: Tensor) -> list[str]:
    """What a training step keeps, and the peak of an inference pass, in maps: ours, theirs."""
    kept_maps = [backward_memory(m.train(), x) for m in (ours, theirs)]
    peaks = [inference_peak(m, x) / x.nbytes for m in (ours, theirs)]
    return [f"{a:.2f}, {b:.2f}" for a, b in (kept_maps, peaks)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only pairs that start with one of these")
    parser.add_argument("--seconds", type=float, default=1, help=f"for each cell, at least {CALLS} calls of each")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    def chosen(name: str) -> bool:
        return not options.names or name.startswith(tuple(options.names))

    print(HEADING.format(machine=machine(), timm=timm.__version__, batch=options.batch, threads=options.threads))
    print("| pair | pass | " + " | ".join(f"{c}×{s}×{s}: ms, ms, ratio" for c, s in SIZES) + " | median ratio |")
    print("|---|---|" + "---:|" * (len(SIZES) + 1))
    for name, ours, theirs in PAIRS:
        if not chosen(name):
            continue
        for label, kind in (("forward", forward), ("training", training)):
            cells, ratios = [], []
            for c, s in SIZES:
                x = torch.randn(options.batch, c, s, s)
                mine, other = fastest(kind(ours(c), x), kind(theirs(c), x), options.seconds)
                cells.append(f"{mine:.2f}, {other:.2f}, {mine / other:.2f}")
                ratios.append(mine / other)
            print(f"| {name} | {label} | {' | '.join(cells)} | {statistics.median(ratios):.2f} |", flush=True)
    print(MEMORY)
    for name, ours, theirs in PAIRS:
        if chosen(name):
            x = torch.randn(2, 128, 40, 40)
            print(f"| {name} | {' | '.join(memory(ours(128), theirs(128), x))} |")
    x = torch.randn(4, 128, 80, 80)
    lean, naive = (
        backward_memory(m.train(), x)
        for m in (build_attention("NonLocal", 128, subsample=False), tutorial.NaiveNonLocal(128))
    )
    print(f"\nNonLocal keeps {lean:.1f} maps of 4×128×80×80, its naive form {naive:.1f}: ratio {lean / naive:.3f}.")


if __name__ == "__main__":
    main()
