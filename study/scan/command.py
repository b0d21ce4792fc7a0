"""Do what `study.py --scan` and `--confirm` ask for."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from engine.errors import UsageError
from study.analysis.results import gather
from study.execute.local import sort_runs
from study.plan.plan import Plan, address_runs, make_plan
from study.plan.study_spec import read_study
from study.scan.confirm import check_confirm, chosen, effects_of, write_confirmation, write_study
from study.scan.report import write_scan_report
from study.scan.run import Scan, run_scan
from study.scan.scan_spec import read_scan

Say = Callable[[str], None]


def scan(
    options: Namespace, devices: Sequence[str], run: Callable[[Plan, Namespace, Sequence[str]], None], say: Say
) -> None:
    """Rank candidates, write what was found, and put it to the test where that is asked for.

    Args:
        options: of study.py.
        devices: to use in turn.
        run: trains a study's runs and writes its report.
        say: takes progress as lines.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
        RunFailed: if the training before the scan fails.
    """
    if options.spec:
        raise UsageError(f"--scan {options.scan} and a study ({' '.join(options.spec)}): give one of them")
    _refuse_flags_of_studies(options)
    spec = read_scan(options.scan)
    if options.confirm is not None:  # before hours are spent
        check_confirm(spec, options.confirm)
    found = run_scan(spec, options.project, devices[0], options.download, options.plugin, say, options.dry_run)
    if found is None:
        return
    say(write_scan_report(found))
    if options.confirm is not None:
        _confirm(found, options, devices, run, say)


def _refuse_flags_of_studies(options: Namespace) -> None:
    """Refuse what would be ignored."""
    for flag, value in (("--add-seeds", options.add_seeds), ("--import", options.import_from)):
        if value is not None:
            raise UsageError(f"{flag} is for a study, not for --scan; leave it out")
    if options.pool is not None:
        raise UsageError("--pool is for studies, not for --scan; leave it out")
    if options.confirm is None and (options.retry_failed or options.ray is not None):
        flag = "--ray" if options.ray is not None else "--retry-failed"
        raise UsageError(f"{flag} is for the study that tests a scan: add --confirm K, or leave it out")
    if options.report and options.confirm is None:
        raise UsageError("--report with --scan needs --confirm K; a scan writes its report whenever it is started")


def _confirm(
    found: Scan,
    options: Namespace,
    devices: Sequence[str],
    run: Callable[[Plan, Namespace, Sequence[str]], None],
    say: Say,
) -> None:
    """Run the study that tests a scan, and say whether the scan was right."""
    file = write_study(found, options.confirm)
    say(f"the study that tests the scan: {file}")
    plan = make_plan(read_study(file), found.folder, options.download, options.plugin)
    address_runs(plan, dict.fromkeys(plan.models, plan.spec.epochs or 0))
    run(plan, options, devices)
    metric = plan.spec.metrics[0]
    results = gather(plan, sort_runs(plan, retry_failed=False)[0].done)
    effects = effects_of(plan, {name: results.values(name, metric) for name in results.by_variant})
    say(write_confirmation(found, chosen(found.ranked, options.confirm, found.spec.seed), effects, metric))
