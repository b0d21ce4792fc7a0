"""Say what a study would do and how long it would take, without training."""

from collections.abc import Iterator, Mapping

from data import load_dataset
from engine.training.hyperparameters import ANCHORS
from models import build_model
from study.execute import cost, expected_time
from study.plan.plan import Plan
from study.plan.run import hyp_content

MOST_LISTED = 12  # matched controls of a variant


def epoch_seconds_of(plan: Plan, device: str) -> dict[str, float]:
    """Time a few batches of every variant, and return the seconds that an epoch of it takes."""
    return {
        name: cost.epoch_seconds(model, plan.options_of(name), plan.sizes, device)
        for name, model in plan.models.items()
    }


def epochs_in(minutes: float, seconds: Mapping[str, float]) -> dict[str, int]:
    """Return the epochs of each variant that fit into a budget of minutes, given the seconds of an epoch."""
    return {name: max(1, int(60 * minutes / each)) for name, each in seconds.items()}


def _probe_runs(plan: Plan) -> expected_time.Probe:
    """Time what every run does besides computing epochs."""
    records = load_dataset(plan.spec.data, split="train", data_root=plan.spec.data_root)["train"].records
    return expected_time.probe([record.path for record in records])


def planned_lines(plan: Plan, epochs: Mapping[str, int], seconds: Mapping[str, float]) -> Iterator[str]:
    """Yield lines that say what a study would do: models and their sizes, number of runs, expected time.

    Args:
        plan: of the study.
        epochs: of each variant.
        seconds: of an epoch of each variant, as `epoch_seconds_of` returns.
    """
    size = plan.options["imgsz"]
    counts = {name: cost.parameters_and_flops(build_model(model.yaml), size) for name, model in plan.models.items()}
    base = counts["baseline"][0]
    width = max(map(len, counts)) + 2
    yield f"\n{'variant':<{width}}{'parameters':>14}{'added':>14}{'GFLOPs':>9}{'epochs':>8}{'a run':>10}"
    total, once = 0.0, _probe_runs(plan)
    for name, (parameters, flops) in counts.items():
        options = plan.options_of(name)
        composed = expected_time.images_composed(options, hyp_content(options["hyp"] or ANCHORS))
        look = expected_time.look_seconds(seconds[name], plan.sizes)
        each = expected_time.run_seconds(once, epochs[name], seconds[name], look, plan.sizes, plan.split, composed)
        total += each * len(plan.spec.seeds)
        row = f"{name:<{width}}{parameters:>14,}{parameters - base:>+14,}{flops / 1e9:>9.2f}{epochs[name]:>8}"
        yield f"{row}{duration(each):>10}"
    for name, matches in plan.matches.items():
        shown = [f"{m.got:,} for {m.target:,} ({m.kernel_size}×{m.kernel_size})" for m in matches[:MOST_LISTED]]
        yield f"{name}: {', '.join(shown)}{' …' if len(matches) > MOST_LISTED else ''}"
    listed = ", ".join(f"{number} {name}" for name, number in plan.sizes.items())
    yield (
        f"\n{len(plan.models)} models × {len(plan.spec.seeds)} seeds = {len(plan.models) * len(plan.spec.seeds)} runs "
        f"at {size} px; images: {listed}; measured on {plan.split}"
    )
    busy = f"; the machine is busy: {once.slowdown:.1f} times as long as alone" if once.slowdown > 1 else ""
    yield f"expected time, one run after the other: {duration(total)} (from a probe{busy})"


def duration(seconds: float) -> str:
    """Return a time span as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
