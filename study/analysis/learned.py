"""Tell a comparison of detectors from one of models that detect nothing, where any difference is noise around zero."""

from collections.abc import Mapping
from dataclasses import replace

from study.analysis.intervals import Verdict
from study.analysis.results import Results
from study.analysis.statistics import Comparison

LEAST_AP50 = 0.01  # a detector that finds a hundredth of what a perfect one does has not begun to learn


def has_learned(results: Results, name: str, which: str = "last") -> bool:
    """Tell whether a variant detects anything to speak of with one seed at least.

    Args:
        results: of the study.
        name: of the variant.
        which: "last" or "best".
    """
    return any(value >= LEAST_AP50 for value in results.values(name, "AP50", which).values())


def without_verdict(comparisons: Mapping[str, Comparison], learned: Mapping[str, bool]) -> dict[str, Comparison]:
    """Take the verdict from comparisons of two models that both learned nothing.

    Where one of the two learned something, the verdict stands: to fall to zero is a loss.

    Args:
        comparisons: by name.
        learned: name → whether one of the two models compared has learned something.
    """
    return {
        name: comparison if learned[name] else replace(comparison, verdict=Verdict.UNLEARNED)
        for name, comparison in comparisons.items()
    }
