"""Run study.py: a spec on the command line → runs, measurements, report."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data.folders import expand_home
from engine.cli import main as command_line
from engine.cli.parser import Parser
from engine.errors import UsageError
from engine.runtime.paths import RUNS
from engine.runtime.signals import terminating_as_interrupt
from models.upstream.environment import threads as usable_threads

INTERRUPTED = 130  # exit code


def study_parser() -> Parser:
    """Return the parser of study.py."""
    parser = Parser(
        prog="study.py",
        description="Compare variants of a detector over seeds, and say honestly what came out.",
    )
    parser.add_argument(
        "spec", nargs="*", metavar="YAML", help="what to compare, see cfg/study/; several: one after the other"
    )
    parser.add_argument(
        "--pool",
        default=None,
        metavar="NAME",
        help="also write a table of mechanism and data set over several studies, into the folder of this name",
    )
    parser.add_argument(
        "--scan",
        default=None,
        metavar="YAML",
        help="rank mechanisms × places at the cost of a few trainings instead, see cfg/scan/",
    )
    parser.add_argument(
        "--confirm",
        type=int,
        default=None,
        metavar="K",
        help="after --scan: a study of the best K candidates, K random ones and controls, on other seeds",
    )
    parser.add_argument("--dry-run", action="store_true", help="list runs, sizes and the expected time; train nothing")
    parser.add_argument("--report", action="store_true", help="write the report of what is done so far; train nothing")
    parser.add_argument(
        "--workers",
        type=int,
        default=None,
        metavar="N",
        help="runs at a time, which divide the threads; by default one for each GPU, two on CPUs of two cores or more",
    )
    parser.add_argument("--device", default="", help="cpu, or GPUs' numbers such as 0,1: runs take them in turn")
    parser.add_argument("--retry-failed", action="store_true", help="try failed runs again")
    parser.add_argument(
        "--add-seeds",
        type=int,
        default=None,
        metavar="N",
        help="train N more seeds of a study whose max_seeds planned for it, and look again",
    )
    parser.add_argument(
        "--import",
        dest="import_from",
        default=None,
        metavar="FOLDER",
        help="take finished runs of the same recipe from another study's folder instead of training them",
    )
    parser.add_argument(
        "--ray", default=None, metavar="ADDRESS", help="put the runs on a Ray cluster; local starts one"
    )
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file of your own mechanisms; it is run"
    )
    parser.add_argument("--download", action="store_true", help="allow fetching official weights that are not on disk")
    parser.add_argument("--project", default=str(RUNS / "study"), metavar="DIR", help="folder of studies")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run study.py.

    Returns:
        0 done; 1 if a run failed; 2 if the input is wrong; 130 interrupted.
    """
    command_line.COMMANDS["study"] = ("study.cli:study_parser", "study.cli:run_study")
    with terminating_as_interrupt():
        code = command_line.main("study", argv)
    if code == INTERRUPTED:
        arguments = list(sys.argv[1:] if argv is None else argv)
        again = shlex.join(["python", "study.py", *arguments])
        sys.stderr.write(f"study.py: finished epochs are kept; to go on, run the same command again: {again}\n")
    return code


def run_study(options: Namespace) -> None:
    """Do what study.py was asked to.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
        SystemExit: with code 1, if a run failed.
    """
    if options.scan is not None:
        from study.scan.command import scan

        scan(options, _set_workers(options), _train_and_report, _say)
        return
    if options.confirm is not None:
        raise UsageError("--confirm tests a scan: study.py --scan SPEC --confirm K")
    if options.report and options.add_seeds is not None:
        raise UsageError("--add-seeds trains more seeds, --report trains nothing; leave one of them out")
    if not options.spec:
        raise UsageError("which study? For example: python study.py cfg/study/digits-quick.yaml --dry-run")
    from study.plan.study_spec import read_study
    from study.several_sets import each_set, refuse_pool

    devices = _set_workers(options)
    specs = {spec.name: spec for spec in map(read_study, options.spec)}
    if len(specs) < len(options.spec):
        raise UsageError(f"{' '.join(options.spec)}: two have one name, and so one folder; give one of them a name")
    if options.pool is not None:
        refuse_pool(list(specs.values()), options.pool)
        failed = _study_each(specs, options, devices, options.pool)
    else:
        each = [_study_each(each_set(spec), options, devices, name) for name, spec in specs.items()]
        failed = any(each)
    if failed:
        raise SystemExit(1)


def _study_each(parts: Mapping[str, Any], options: Namespace, devices: Sequence[str], name: str) -> bool:
    """Do one study after the other, and pool what came out; a failed run does not stop the others.

    Args:
        parts: name in the pooled table → study.
        options: flags of study.py.
        devices: to use in turn.
        name: of the folder of the pooled report, which several have.

    Returns:
        Whether a run failed.
    """
    from study.analysis.comparisons import analyse, looks_of
    from study.analysis.results import gather
    from study.execute.local import sort_runs
    from study.plan.planned_looks import to_add
    from study.several_sets import write_pooled_report

    home = expand_home(options.project).absolute()
    more = to_add(parts, home, options.add_seeds)
    studied, analyses, waiting, failed = {}, {}, {}, False
    for title, one in parts.items():
        if len(parts) > 1 or len(options.spec) > 1:
            _say(f"study {one.name}")
        plan = _planned(one, options, devices, more[title])
        if plan is None:
            continue
        try:
            _train_and_report(plan, options, devices)
        except SystemExit:
            failed = True
        outcome, open_runs = sort_runs(plan, retry_failed=False)
        if outcome.done and len(parts) > 1:
            studied[title], waiting[title] = plan.spec, len(open_runs)
            looks = looks_of(plan.spec)
            analyses[title] = analyse(
                gather(plan, outcome.done), plan.spec.metrics[0], "last", False, looks, not open_runs
            )
    if len(analyses) > 1:
        _say(write_pooled_report(studied, home / name, analyses, waiting))
    return failed


def _planned(spec: Any, options: Namespace, devices: Sequence[str], add_seeds: int | None) -> Any:
    """Return the plan of a study of one data set, its runs addressed; None where only a list was asked for."""
    from study.dry_run import epoch_seconds_of, epochs_in, planned_lines
    from study.plan.plan import address_runs, make_plan, remembered_epochs
    from study.plan.planned_looks import with_looks

    folder = expand_home(options.project).absolute() / spec.name
    spec = with_looks(spec, folder, add_seeds, not options.dry_run)
    plan = make_plan(spec, options.project, options.download, options.plugin)
    for warning in plan.warnings:
        _say(f"note: {warning}")
    epochs = remembered_epochs(plan)
    seconds: Mapping[str, float] = {}
    if options.dry_run or epochs is None:
        _say("timing a few batches of each variant")
        seconds = epoch_seconds_of(plan, devices[0])
        epochs = epochs or epochs_in(plan.spec.minutes or 0, seconds)
    if options.dry_run:
        for line in planned_lines(plan, epochs, seconds):
            _say(line)
        return None
    address_runs(plan, epochs)
    if options.import_from is not None:
        _import(plan, options.import_from)
    return plan


def _set_workers(options: Namespace) -> list[str]:
    """Settle how many runs go on at a time, and return the devices that they take in turn."""
    devices = _devices(options.device)
    if options.workers is None:
        # Small models gain less from a second thread than from a second run beside them.
        options.workers = min(2, usable_threads()) if devices == ["cpu"] else len(devices)
    if not 1 <= options.workers <= 1024:
        raise UsageError(f"--workers {options.workers}: expected a number from 1 to 1024")
    return devices


def _import(plan: Any, folder: str) -> None:
    """Take finished runs of another folder, and say which were refused and why."""
    from study.execute.carry import import_runs

    imported = import_runs(plan, folder)
    for label, reason in imported.refused.items():
        _say(f"not imported: {label}: {reason}")
    others = f", {imported.others} of other variants or seeds" if imported.others else ""
    _say(
        f"imported {len(imported.taken)} runs; {len(imported.there)} were done here already, "
        f"{len(imported.refused)} refused{others}"
    )


def _train_and_report(plan: Any, options: Namespace, devices: Sequence[str]) -> None:
    from study.execute.local import execute, sort_runs
    from study.plan.planned_looks import finish_look
    from study.report.write import write_report

    if options.report:
        outcome, _ = sort_runs(plan, retry_failed=False)
    elif options.ray is not None:
        from study.execute.ray_cluster import execute_on_ray

        outcome = execute_on_ray(plan, options.ray, options.workers, options.retry_failed, _say)
    else:
        outcome = execute(plan, options.workers, devices, options.retry_failed, _say)
    if not outcome.done:
        reasons = "; ".join(sorted(set(outcome.failed.values()))[:3])
        _say(f"no run is done, so there is nothing to report{': ' + reasons if reasons else ''}")
        raise SystemExit(1)
    _say(write_report(plan, outcome, devices[0]))
    if len(outcome.done) == len(plan.runs):
        finish_look(plan.spec, plan.folder)
    if outcome.failed:
        _say(f"{len(outcome.failed)} of {len(plan.runs)} runs failed; try them again with --retry-failed")
        raise SystemExit(1)


def _devices(text: str) -> list[str]:
    """Return the devices to use in turn: the first GPU where none is named and there is one that works.

    Raises:
        UsageError: for a device that is not there.
    """
    import torch

    from engine.runtime.devices import check_device
    from engine.runtime.gpu_advice import without_unusable_gpu

    usable = without_unusable_gpu(text).lower().replace("cuda:", "")
    names = [name.strip() for name in usable.split(",") if name.strip()]
    for name in names:
        if name.isdecimal() and int(name) >= torch.cuda.device_count():
            raise UsageError(f"--device {text}: there are {torch.cuda.device_count()} GPUs here; try --device cpu")
        check_device(name)
    if not names:
        return ["0"] if torch.cuda.is_available() else ["cpu"]
    return ["0" if name == "cuda" else name for name in names]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
