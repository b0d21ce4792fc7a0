"""`python -m attention.docs.cost_table`: what every mechanism costs; `python -m models.costs` says it at a place, too.

Parameters and FLOPs are exact; the rest is measured on this machine:

- FLOPs are counted where PyTorch dispatches operations, so matrix products inside attention are in; 2 per multiply–add;
- memory is what a training step keeps for the backward pass, beyond the input, as a multiple of the map;
- time is the fastest of several forward passes for inference, in float32 and bfloat16, and its ratio to the memory
  floor: the time of one pass that reads the map and writes another (x · 2), below which no mechanism that changes the
  map can go; then the same in ONNX Runtime and OpenVINO, in float32, where they are installed.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from attention import ATTENTION, build_attention
from attention.docs import runtimes
from attention.flops import count_flops
from attention.fuse import fold
from attention.registry import variant_options

SIZES = ((64, 80, 80), (128, 40, 40), (256, 20, 20))  # what the head of a small detector reads at 640 pixels
COUNTED = ("parameters", "MFLOPs", "kept / map")
TIMED = ("fp32 ms", "fp32 / floor", "bf16 ms", "ONNX Runtime ms", "OpenVINO ms")
COLUMNS = ("mechanism", "C", "map", *COUNTED, *TIMED)


def parameters(module: nn.Module) -> int:
    """Return the number of learned values.

    Args:
        module: any module.

    Returns:
        Their number.
    """
    return sum(p.numel() for p in module.parameters())


def backward_memory(module: nn.Module, x: Tensor) -> float:
    """Return the memory that a training step keeps for its backward pass.

    Args:
        module: the mechanism, in training mode.
        x: (B, C, H, W).

    Returns:
        Bytes beyond the input and the parameters, as a multiple of the bytes of x.
    """
    own = {x.untyped_storage().data_ptr(), *(p.untyped_storage().data_ptr() for p in module.parameters())}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    source = x.detach().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = module(source)
    del out
    return sum(storages.values()) / (x.numel() * x.element_size())


def fastest(run: Callable[[], Any], repeats: int) -> float:
    """Return the shortest duration of a call.

    Args:
        run: what to call.
        repeats: number of calls, after one that is not timed: more until 0.1 s are over, fewer if they take a second.

    Returns:
        Milliseconds.
    """
    run()
    best, start, calls = float("inf"), time.perf_counter(), 0
    while time.perf_counter() - start < (1 if calls < repeats else 0.1):
        before = time.perf_counter()
        run()
        best, calls = min(best, time.perf_counter() - before), calls + 1
    return 1e3 * best


@cache
def memory_floor(size: tuple[int, int, int], batch: int) -> float:
    """Time of one pass that reads a map and writes another, measured once in a process.

    Args:
        size: C, H, W.
        batch: B.

    Returns:
        Milliseconds.
    """
    x = torch.randn(batch, *size)
    return fastest(lambda: x * 2, 1000)


def counted_cells(name: str, size: tuple[int, int, int], batch: int = 1) -> list[str]:
    """Count what can be counted of a mechanism.

    Args:
        name: of the mechanism.
        size: C, H, W.
        batch: B.

    Returns:
        The cells of COUNTED.
    """
    x, module = torch.randn(batch, *size), build_attention(name, size[0])
    operations = count_flops(module.eval(), x) / 1e6
    return [f"{parameters(module)}", f"{operations:.1f}", f"{backward_memory(module.train(), x):.1f}"]


def measured_cells(name: str, size: tuple[int, int, int], batch: int = 1, repeats: int = 5) -> list[str]:
    """Measure how long a mechanism takes at inference, with everything folded that is constant.

    Args:
        name: of the mechanism.
        size: C, H, W.
        batch: B.
        repeats: timed calls.

    Returns:
        The cells of TIMED; a dash for a runtime that is not installed.
    """
    x, module = torch.randn(batch, *size), build_attention(name, size[0]).eval()
    fold(module)
    low, y = copy.deepcopy(module).to(torch.bfloat16), x.to(torch.bfloat16)
    file = runtimes.onnx(module, x) if runtimes.installed() else b""
    with torch.no_grad():
        plain = fastest(lambda: module(x), repeats)
        cells = [f"{plain:.2f}", f"{plain / memory_floor(size, batch):.1f}", f"{fastest(lambda: low(y), repeats):.2f}"]
        for runtime, load in runtimes.RUNTIMES.items():
            run = load(file) if runtime in runtimes.installed() else None
            cells.append(f"{fastest(partial(run, x), repeats):.2f}" if run else "–")
    return cells


def rows(names: Sequence[str], batch: int = 1, repeats: int = 5) -> Iterator[list[str]]:
    """Count and time mechanisms at the sizes SIZES.

    Args:
        names: of the mechanisms.
        batch: B.
        repeats: timed calls; 0 leaves the times out.

    Yields:
        The cells of COLUMNS.
    """
    for name in names:
        for size in SIZES:
            times = measured_cells(name, size, batch, repeats) if repeats else [""] * len(TIMED)
            yield [name, f"{size[0]}", f"{size[1]}×{size[2]}", *counted_cells(name, size, batch), *times]


def markdown(rows: Sequence[Sequence[str]], head: Sequence[str] = COLUMNS, words: int = 1) -> str:
    """Render rows as a Markdown table.

    Args:
        rows: cells.
        head: of the columns.
        words: how many columns, from the left, hold words; the others are at the right.

    Returns:
        The table.
    """
    lines = [head, [*["---"] * words, *["---:"] * (len(head) - words)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table.

    Args:
        arguments: the command line; None means that of the process.

    Raises:
        SystemExit: with code 2 for an unknown mechanism.
    """
    parser = argparse.ArgumentParser(
        prog="python -m attention.docs.cost_table", description="What every mechanism costs."
    )
    parser.add_argument("names", nargs="*", help="mechanisms; all by default")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls; 0 leaves the times out")
    options = parser.parse_args(arguments)
    try:
        given = [name if variant_options(name) else ATTENTION.canonical(name) for name in options.names]
    except ValueError as error:
        parser.error(str(error))
    names = given or ATTENTION.names()
    print(markdown(list(rows(names, options.batch, options.repeats))))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
