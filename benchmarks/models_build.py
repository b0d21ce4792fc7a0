"""Time reading and building model YAMLs, next to ultralytics' own building of the same architecture, in one run.

    python -m benchmarks.models_build

Prints Markdown. The shortest of several runs counts, ours and ultralytics' in turn; one thread.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path

import torch

from benchmarks.machine import machine
from models import SpecError, build_model, read_spec
from models.spec.base_files import known_names
from models.upstream.layers import DetectionModel

OVERLAY = ["CBAM@neck.P3,neck.P4,neck.P5"]
ROUNDS = 15


def best(calls: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the shortest of several runs of each call, in milliseconds; the calls take turns."""
    fastest = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            fastest[name] = min(fastest[name], 1000 * (time.perf_counter() - start))
    return fastest


def readable() -> Iterator[str]:
    """Yield the names of our descriptions and of ultralytics' for detection."""
    yield from known_names()
    for path in sorted((Path(str(files("ultralytics"))) / "cfg" / "models").rglob("*.yaml")):
        name = f"ultralytics/{path.stem}"
        try:
            read_spec(name)
        except SpecError:  # segmentation, poses, transformers
            continue
        yield name


def main() -> None:
    """Print times and ratios."""
    torch.set_num_threads(1)
    print(f"{machine()}; one thread, shortest of {ROUNDS} runs\n")
    built = best(
        {
            "ultralytics: stock yolov5n": partial(DetectionModel, "yolov5n.yaml", verbose=False),
            "ours: that same YAML with an overlay": partial(build_model, "ultralytics/yolov5n", attention=OVERLAY),
            "ours: our yolov5n with an overlay": partial(build_model, "yolov5n", attention=OVERLAY),
        }
    )
    stock = next(iter(built.values()))
    print("| building | ms | of stock |\n|---|---:|---:|")
    for name, taken in built.items():
        print(f"| {name} | {taken:.0f} | {taken / stock:.2f} × |")
    read = best({name: partial(read_spec, name) for name in readable()})
    slowest = sorted(read, key=lambda name: -read[name])[:5]
    print(f"\n| reading and resolving, the slowest of {len(read)} descriptions | ms |\n|---|---:|")
    for name in slowest:
        print(f"| {name} | {read[name]:.1f} |")


if __name__ == "__main__":
    main()
