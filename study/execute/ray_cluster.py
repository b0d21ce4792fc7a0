"""Run a plan on a Ray cluster, each run with its share of cores and GPUs. All nodes must see the study's folder."""

import os
import signal
from collections.abc import Sequence
from typing import Any

from engine.errors import UsageError
from models.upstream.environment import threads as usable_threads
from study.execute.local import WAIT, Outcome, Say, command, headline, prepare, settle, sort_runs
from study.plan.plan import Plan
from study.plan.run import Run

# Ray reads these when it is imported. A local cluster must come up in so many seconds; Ray's own 30 are short on a busy
# machine. It does not report to its makers.
SETTINGS = {"RAY_raylet_start_wait_time_s": "240", "RAY_USAGE_STATS_ENABLED": "0"}


def execute_on_ray(plan: Plan, address: str, workers: int, retry_failed: bool, say: Say) -> Outcome:
    """Work on every run that is not done, on a cluster.

    Args:
        plan: with its runs addressed.
        address: of the cluster, or "local" for one on this machine.
        workers: how many runs share one machine; each asks for that part of its cores, and of its GPUs.
        retry_failed: try failed runs again.
        say: takes progress as lines.

    Raises:
        UsageError: if Ray is not installed or the cluster does not answer.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UsageError("--ray: Ray is not installed; pip install ray, or leave out --ray and use --workers") from None
    cores = usable_threads()
    settings: dict[str, Any] = {"num_cpus": cores} if address == "local" else {}
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, **settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        hint = "" if address == "local" else "; is it up, and does it ask for a token (RAY_AUTH_MODE=token)?"
        raise UsageError(f"--ray {address}: {' '.join(str(error).split())[:300]}{hint}") from None
    try:
        return _execute(ray, plan, workers, retry_failed, say)
    finally:
        ray.shutdown()


def _execute(ray: Any, plan: Plan, workers: int, retry_failed: bool, say: Say) -> Outcome:
    threads = max(1, usable_threads() // workers)
    gpus = 1 / workers if ray.cluster_resources().get("GPU") else 0
    outcome, waiting = sort_runs(plan, retry_failed)
    say(f"{len(plan.runs)} runs: {len(outcome.done)} done, {len(waiting)} to do on Ray, {threads} threads each")

    # Defined here so that Ray sends it by value: nodes need this checkout for the process, not for the call.
    @ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=2)
    def work(argv: Sequence[str], environment: dict[str, str], log: str, delay: float) -> int:
        import os
        import subprocess
        import time
        from pathlib import Path

        import ray

        time.sleep(delay)
        # GPUs that Ray gave to this task stand in its own environment.
        chosen = {key: value for key, value in os.environ.items() if key == "CUDA_VISIBLE_DEVICES"}
        with Path(log).open("ab") as file:
            file.write(f"on Ray node {ray.get_runtime_context().get_node_id()}\n".encode())
            file.flush()
            return subprocess.run(  # noqa: S603
                list(argv), env={**environment, **chosen}, stdout=file, stderr=subprocess.STDOUT, check=False
            ).returncode

    def submit(run: Run, delay: float = 0.0) -> None:
        argv, environment = command(run, "" if gpus else "cpu")
        pending[work.remote(argv, environment, str(run.folder / "log.txt"), delay)] = run

    pending: dict[Any, Run] = {}
    for _, run in waiting:
        prepare(plan, run, threads)
        submit(run)
    while pending:
        (reference,), _ = ray.wait(list(pending), num_returns=1)
        run = pending.pop(reference)
        code = _exit_code(ray, reference)
        what = settle(run, code, outcome, again=False)
        if what == "busy":
            submit(run, WAIT)
            continue
        settled = len(outcome.done) + len(outcome.failed)
        text = f"failed: {outcome.failed[run]}" if what == "failed" else headline(run)
        say(f"[{settled}/{len(plan.runs)}] {run.label}: {text}")
    return outcome


def _exit_code(ray: Any, reference: Any) -> int:
    """Return how a run's process ended; as by SIGKILL where it was lost with its node, time and again."""
    try:
        return int(ray.get(reference))
    except ray.exceptions.RayError:
        return -getattr(signal, "SIGKILL", 9)  # Windows has no such name
