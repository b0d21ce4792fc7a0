"""Add seeds to a study that planned for it, and remember at how many seeds it was looked at."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.errors import UsageError
from study.plan.run import read_json, write_json
from study.plan.study_spec import StudySpec

FILE = "looks.json"  # in the study's folder


def to_add(specs: Mapping[str, StudySpec], project: Path, add: int | None) -> dict[str, int | None]:
    """Return the seeds to add to each of several studies: none to those that an interrupted command has added them to.

    Args:
        specs: by name.
        project: folder of studies.
        add: seeds to add to each; None for none.
    """
    states = {name: _state(spec, project / spec.name) for name, spec in specs.items() if spec.max_seeds is not None}
    more: dict[str, int | None] = dict.fromkeys(specs, add)
    for name, (looks, finished) in states.items():
        added = len(looks) > 1 and looks[-1] - looks[-2] == add and finished >= looks[-1]
        behind = [
            other
            for other, done in states.values()
            if len(other) < len(looks) or (len(other) == len(looks) and done < other[-1])
        ]
        if added and behind:
            more[name] = None
    return more


def _state(spec: StudySpec, folder: Path) -> tuple[list[int], int]:
    """Return the seeds done at each look so far, the open one last, and how many the last finished one had."""
    known = read_json(folder / FILE) or {}
    if known.get("seeds") != list(spec.seeds) or known.get("max_seeds") != spec.max_seeds:
        return [len(spec.seeds)], 0
    return list(known["looks"]), known.get("finished", 0)


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
    looks, finished = _state(spec, folder)
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
