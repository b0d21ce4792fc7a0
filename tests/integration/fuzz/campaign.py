"""Run many cases of one target: python -m tests.integration.fuzz.campaign TARGET CASES [SEED] prints JSON."""

import json
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.integration.fuzz.targets import run, targets

SECONDS = 5  # of processor, after which a case counts as hanging


def _hangs(number: int, frame: Any) -> None:
    raise TimeoutError(f"over {SECONDS} s")


def main(name: str, cases: int, start: int = 0) -> dict[str, Any]:
    """Run the cases, shrink the first that fails.

    Returns:
        Number of cases, of those that got past the parser and of those used; slowest case in seconds; peak memory of
        the process in MiB.
    """
    target = targets()[name]
    counts = {"cases": 0, "past": 0, "used": 0, "slowest": 0.0}
    signal.signal(signal.SIGPROF, _hangs)
    with tempfile.TemporaryDirectory() as folder:

        @seed(start)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(content=target.cases)
        def case(content: bytes) -> None:
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                past, refusal = run(target, content, Path(folder))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            counts["cases"] += 1
            counts["past"] += past
            counts["used"] += past and not refusal
            counts["slowest"] = max(counts["slowest"], time.process_time() - began)

        case()
    return {**counts, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
