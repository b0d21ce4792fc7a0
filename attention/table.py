"""`python -m attention.table`: what every mechanism costs.

Parameters and FLOPs are exact; the rest is measured on this machine:

- FLOPs are counted where PyTorch dispatches operations, so matrix products inside attention are in; 2 per multiply–add;
- memory is what a training step keeps for the backward pass, beyond the input, as a multiple of the map;
- time is the fastest of several forward passes, in float32 and bfloat16, and its ratio to the memory floor: the time of
  one pass that reads the map and writes another (x · 2), below which no mechanism that changes the map can go.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from attention import ATTENTION, build_attention

SIZES = ((64, 80, 80), (128, 40, 40), (256, 20, 20))  # what the head of a small detector reads at 640 pixels
COLUMNS = ("mechanism", "C", "map", "parameters", "MFLOPs", "kept / map", "fp32 ms", "bf16 ms", "fp32 / floor")


def parameters(module: nn.Module) -> int:
    """Number of learned values.

    Args:
        module: any module.

    Returns:
        Their number.
    """
    return sum(p.numel() for p in module.parameters())


def flops(module: nn.Module, x: Tensor) -> int:
    """Operations of one forward pass in matrix products and convolutions.

    Args:
        module: the mechanism, in eval mode.
        x: (B, C, H, W).

    Returns:
        Floating point operations, two per multiply–add.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops()


def kept(module: nn.Module, x: Tensor) -> float:
    """Memory that a training step keeps for its backward pass.

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
    """Shortest duration of a call.

    Args:
        run: what to call.
        repeats: number of calls, after one that is not timed.

    Returns:
        Milliseconds.
    """
    run()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def measure(name: str, size: tuple[int, int, int], *, batch: int = 1, repeats: int = 5) -> list[str]:
    """One row of the table.

    Args:
        name: of the mechanism.
        size: C, H, W.
        batch: B.
        repeats: timed calls.

    Returns:
        The cells, in the order of COLUMNS; the times and the ratio are empty where repeats is 0.
    """
    x = torch.randn(batch, *size)
    module = build_attention(name, size[0])
    cells = [
        name,
        str(size[0]),
        f"{size[1]}×{size[2]}",
        f"{parameters(module)}",
        f"{flops(module.eval(), x) / 1e6:.1f}",
    ]
    cells.append(f"{kept(module.train(), x):.1f}")
    if not repeats:
        return [*cells, "", "", ""]
    module.eval()
    with torch.no_grad():
        floor = fastest(lambda: x * 2, repeats)
        plain = fastest(lambda: module(x), repeats)
        low, y = module.to(torch.bfloat16), x.to(torch.bfloat16)
        half = fastest(lambda: low(y), repeats)
    return [*cells, f"{plain:.2f}", f"{half:.2f}", f"{plain / floor:.1f}"]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table under the headings COLUMNS.

    Args:
        rows: cells.

    Returns:
        The table.
    """
    lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table.

    Args:
        arguments: the command line; None means that of the process.

    Raises:
        SystemExit: with code 2 for an unknown mechanism.
    """
    parser = argparse.ArgumentParser(prog="python -m attention.table", description="What every mechanism costs.")
    parser.add_argument("names", nargs="*", help="mechanisms; all by default")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls; 0 leaves the times out")
    options = parser.parse_args(arguments)
    try:
        names = [ATTENTION.canonical(name) for name in options.names] or ATTENTION.names()
    except ValueError as error:
        parser.error(str(error))
    rows = [measure(n, size, batch=options.batch, repeats=options.repeats) for n in names for size in SIZES]
    print(markdown(rows))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
