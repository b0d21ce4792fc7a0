"""Reading and building descriptions, next to ultralytics' own building of the same architecture, in one run.

python benchmarks/models_build.py
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import build_model, read_spec
from models.upstream import DetectionModel

OVERLAY = ["CBAM@neck.P3,neck.P4,neck.P5"]


def best(call: Callable[[], object], times: int = 12) -> float:
    """Return the shortest of several runs, in milliseconds."""
    call()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return 1000 * min(found)


def main() -> None:
    """Print times and ratios."""
    stock = best(lambda: DetectionModel("yolov5n.yaml", verbose=False))
    print(f"ultralytics builds yolov5n: {stock:.0f} ms")
    for name, cfg in (("the same YAML", "ultralytics/yolov5n"), ("our yolov5n", "yolov5n")):
        taken = best(partial(build_model, cfg, attention=OVERLAY))
        print(f"ours, {name} with an overlay: {taken:.0f} ms, {taken / stock:.2f} ×")
    for name in ("yolov5n", "yolov7-e6e", "ultralytics/yolov9e"):
        print(f"reading {name} with an overlay: {best(partial(read_spec, name, OVERLAY)):.1f} ms")


if __name__ == "__main__":
    main()
