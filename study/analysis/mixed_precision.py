"""Find runs that machines trained in different precision, though nobody asked for it."""

from collections import Counter
from collections.abc import Sequence

from study.analysis.results import Results


def mixed_precision(results: Results) -> str:
    """Say that machines chose different precision for runs of one study; empty if they did not.

    A study that goes on on another machine, or is shared by several, may be trained in bfloat16 here and in float32
    there. Within a seed that is a difference between variants which is not theirs. Runs whose spec names a precision
    take no part: there it may be the question.
    """
    by_seed: dict[int, dict[str, str]] = {}
    for name, runs in results.by_variant.items():
        for seed, result in runs.items():
            if result.precision and _chosen_by_machine(result.run.argv):
                by_seed.setdefault(seed, {})[name] = result.precision
    counts = Counter(precision for chosen in by_seed.values() for precision in chosen.values())
    if len(counts) < 2:
        return ""
    mixed = [str(seed) for seed, chosen in sorted(by_seed.items()) if len(set(chosen.values())) > 1]
    where = (
        f"in seed{'s' * (len(mixed) > 1)} {', '.join(mixed)} the variants differ in it, so their differences are not "
        "the mechanism's alone"
        if mixed
        else "within each seed all variants have the same, so their differences stay fair"
    )
    named = ", ".join(f"{number} in {precision}" for precision, number in sorted(counts.items()))
    return (
        f"Machines chose different precision for training ({named} runs): {where}. "
        "train: {amp: off} in the spec makes every machine train in fp32."
    )


def _chosen_by_machine(argv: Sequence[str]) -> bool:
    return "--amp" not in argv or argv[argv.index("--amp") + 1] == "auto"
