"""Add seeds to a study that planned for it, and remember at how many seeds it was looked at."""

from dataclasses import replace
from pathlib import Path

from engine.errors import UsageError
from study.plan.run import read_json, write_json
from study.plan.study_spec import StudySpec

FILE = "looks.json"  # in the study's folder


def with_looks(spec: StudySpec, folder: Path, add: int | None, keep: bool = True) -> StudySpec:
    """Return the study with the seeds that were added earlier, and with `add` more.

    A look that is not finished is gone on with where the same number is asked for again.

    Args:
        spec: as written.
        folder: of the study.
        add: seeds to add; None for none.
        keep: whether they are remembered.

    Raises:
        UsageError: if the study did not plan for more seeds, or for so many, or the last look is not finished.
    """
    if spec.max_seeds is None:
        if add is not None:
            raise UsageError(
                f"--add-seeds {add}: {spec.file} has spent its 5 % of false claims at {len(spec.seeds)} seeds; what "
                f"may grow says so from the start: max_seeds: {3 * len(spec.seeds)}"
            )
        return spec
    known = read_json(folder / FILE) or {}
    begun = known.get("seeds") == list(spec.seeds) and known.get("max_seeds") == spec.max_seeds
    looks = list(known["looks"]) if begun else [len(spec.seeds)]
    finished = known.get("finished", 0) if begun else 0
    if add is not None:
        looks = _added(spec, looks, finished, add)
    content = {"seeds": list(spec.seeds), "max_seeds": spec.max_seeds, "looks": looks, "finished": finished}
    if keep:
        write_json(folder / FILE, content)
    more = range(max(spec.seeds) + 1, max(spec.seeds) + 1 + looks[-1] - len(spec.seeds))
    return replace(spec, seeds=(*spec.seeds, *more), looks=tuple(looks))


def _added(spec: StudySpec, looks: list[int], finished: int, add: int) -> list[int]:
    if finished < looks[-1]:
        if len(looks) > 1 and looks[-1] - looks[-2] == add:
            return looks
        raise UsageError(
            f"--add-seeds {add}: the look at {looks[-1]} seeds is not finished; run study.py {spec.file} first"
        )
    left = (spec.max_seeds or 0) - looks[-1]
    if not 1 <= add <= left:
        more = f"1 to {left} more" if left else "no more"
        raise UsageError(
            f"--add-seeds {add}: {looks[-1]} of max_seeds: {spec.max_seeds} are done, so {more} can be added"
        )
    return [*looks, looks[-1] + add]


def finish_look(spec: StudySpec, folder: Path) -> None:
    """Note that all runs of the last look are done and reported."""
    known = read_json(folder / FILE)
    if spec.looks and known is not None:
        write_json(folder / FILE, {**known, "finished": spec.looks[-1]})
