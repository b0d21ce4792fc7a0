"""Run a scan: a task for every group of candidates, each kept once it is done, so that a second start goes on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.folders import expand_home
from engine.errors import UsageError
from models.catalog.mechanisms import load_plugin
from study.plan.code_fingerprint import code_hash
from study.plan.run import content_hash, read_json, write_json
from study.scan.candidates import Candidate, expand
from study.scan.halving import RUNGS, first_steps, halve
from study.scan.module_cost import ModuleCost, measure
from study.scan.ranking import Ranked, better_p, rank
from study.scan.record import Record, drawing
from study.scan.scan_spec import ScanSpec
from study.scan.scoring import BY_ERROR, TRAINED_TOGETHER, divided, score_group
from study.scan.size_controls import plain_control
from study.scan.start import Start, make_start

Say = Callable[[str], None]
SCANNING_CODE = ("study.scan.scoring",)
LEAST_IMAGES = 4
CONTROLLED = 24  # of the best candidates are compared with plain convolutions


@dataclass(frozen=True)
class Scan:
    """A finished scan.

    Attributes:
        spec: what was asked for.
        folder: where it lies.
        start: what was scanned.
        ranked: candidates, the best first.
        costs: by candidate's name.
        left_out: combinations that cannot be, and why.
    """

    spec: ScanSpec
    folder: Path
    start: Start
    ranked: list[Ranked]
    costs: dict[str, ModuleCost]
    left_out: list[str]


def run_scan(
    spec: ScanSpec,
    project: str | Path,
    device: str,
    download: bool,
    plugins: Sequence[str],
    say: Say,
    dry: bool = False,
) -> Scan | None:
    """Do a scan, or what is left of it.

    Args:
        spec: from `read_scan`.
        project: folder of studies and scans.
        device: of the training before the scan, as for --device.
        download: allow fetching official weights or data sets that are not on disk.
        plugins: Python files of mechanisms; they are run.
        say: takes progress as lines.
        dry: only list what would be scored; nothing is trained.

    Returns:
        The scan; None where only a list was asked for.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
        RunFailed: if the training before the scan fails.
    """
    files = [expand_home(plugin).resolve() for plugin in plugins]
    for file in files:
        load_plugin(file)
    folder = expand_home(project).absolute() / spec.name
    start = make_start(spec, folder, device, download, files, say, trained=False)
    if len(start.frozen.images) < LEAST_IMAGES:
        raise UsageError(f"{spec.file}: {len(start.frozen.images)} images, a scan needs {LEAST_IMAGES} or more")
    candidates, left_out = expand(start.frozen.model, spec.mechanisms, spec.places, str(spec.file))
    candidates, failing = _working(start, candidates)
    left_out += failing
    for reason in left_out:
        say(f"left out: {reason}")
    if not candidates:
        raise UsageError(f"{spec.file}: no candidate works at its place; {left_out[0]}")
    places = len({candidate.place.name for candidate in candidates})
    say(f"{len(candidates)} candidates at {places} places, {len(start.frozen.images)} images, method {spec.method}")
    if dry:
        return None
    if spec.epochs:
        start = make_start(spec, folder, device, download, files, say)
    tasks = _Tasks(spec, folder, start, say)
    records = tasks.halving(candidates) if spec.method == "halving" else tasks.score(candidates, "candidates")
    candidates, broken = _finite(candidates, records)
    for reason in broken:
        say(f"left out: {reason}")
    left_out += broken
    if not candidates:
        raise UsageError(f"{spec.file}: no candidate could be scored; {broken[0]}")
    first = tasks.first or records
    by_error = spec.method in BY_ERROR
    ranked = rank(candidates, records, {}, spec.seed, by_error)
    if spec.controls:
        p_plain = _against_plain(tasks, [entry.candidate for entry in ranked[:CONTROLLED]], first)
        ranked = [replace(entry, p_plain=p_plain.get(entry.candidate.name, math.nan)) for entry in ranked]
    costs = measure(start.frozen, candidates, spec.latency)
    return Scan(spec, folder, start, ranked, costs, left_out)


def _working(start: Start, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    """Leave out candidates that fail on the maps of their place, or change their shape."""
    shapes = start.frozen.shapes(list({candidate.place.name: candidate.place for candidate in candidates}.values()))
    good, failing = [], []
    for candidate in candidates:
        try:
            with drawing("try", candidate.name), torch.no_grad():
                for module, shape in zip(candidate.build(identity=True), shapes[candidate.place.name], strict=True):
                    y = module.train()(torch.zeros(2, *shape))
                    if y.shape[1:] != shape:
                        raise ValueError(f"it makes {tuple(y.shape[1:])} of {tuple(shape)}")
        except (ValueError, TypeError, RuntimeError) as error:
            failing.append(f"{candidate.name}: {' '.join(str(error).split())[:200]}")
        else:
            good.append(candidate)
    return good, failing


def _finite(candidates: Sequence[Candidate], records: dict[str, Record]) -> tuple[list[Candidate], list[str]]:
    """Leave out candidates with which the loss is no number, for they have no rank; say so."""
    good = [candidate for candidate in candidates if records[candidate.name].finite]
    return good, [
        f"{candidate.name}: the loss is not finite with it (NaN or infinity)"
        for candidate in candidates
        if not records[candidate.name].finite
    ]


class _Tasks:
    """Scores groups of candidates, or reads what an earlier start left.

    Args:
        spec: of the scan.
        folder: of the scan.
        start: what is scanned.
        say: takes progress.

    Attributes:
        first: records of the first rung, of successive halving.
    """

    def __init__(self, spec: ScanSpec, folder: Path, start: Start, say: Say) -> None:
        self.spec, self.folder, self.start, self.say = spec, folder, start, say
        self.first: dict[str, Record] = {}

    def score(
        self, candidates: Sequence[Candidate], what: str, *, steps: int | None = None, draws: int | None = None
    ) -> dict[str, Record]:
        """Score candidates, group by group."""
        settings = {
            "steps": self.spec.steps if steps is None else steps,
            "draws": self.spec.draws if draws is None else draws,
            "seed": self.spec.seed,
            "memory": self.spec.memory,
            "exchanged": what != "controls",
        }
        records: dict[str, Record] = {}
        todo = divided(candidates, self.spec.method)
        for number, group in enumerate(todo):
            names = [candidate.name for candidate in group]
            used = sorted({candidate.module for candidate in group})
            counted = {name: value for name, value in settings.items() if name != "memory"}
            key = content_hash([self.start.key, self.spec.method, counted, names, code_hash(SCANNING_CODE, used)])
            file = self.folder / "scores" / f"{key[:24]}.json"
            known = read_json(file)
            if known is None or known.get("key") != key:
                scored = self._scored(group, settings)
                known = {"key": key, "records": {name: record.to_dict() for name, record in scored.items()}}
                write_json(file, known)
            records |= {name: Record(**value) for name, value in known["records"].items()}
            self.say(f"[{number + 1}/{len(todo)}] {what}: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}")
        return records

    def _scored(self, group: Sequence[Candidate], settings: dict[str, Any]) -> dict[str, Record]:
        """Score a group; again without those of which the loss is not finite, if it ended the steps of all."""
        scored = score_group(self.start.frozen, group, self.spec.method, **settings)
        rest = [candidate for candidate in group if scored[candidate.name].finite]
        if self.spec.method in TRAINED_TOGETHER and 0 < len(rest) < len(group):
            scored |= score_group(self.start.frozen, rest, self.spec.method, **settings)
        return scored

    def halving(self, candidates: Sequence[Candidate]) -> dict[str, Record]:
        """Score candidates by successive halving."""

        def score(left: Sequence[Candidate], steps: int, rung: int) -> dict[str, Record]:
            return self.score(left, f"rung {rung + 1} of {RUNGS}, {steps} steps", steps=steps)

        result, self.first = halve(candidates, self.spec.steps, score)
        return result


def _against_plain(tasks: _Tasks, candidates: Sequence[Candidate], records: dict[str, Record]) -> dict[str, float]:
    """Return each candidate's p against plain convolutions of its size at its place."""
    owners = {candidate.name: plain_control(candidate) for candidate in candidates}
    distinct = list({control.name: control for control in owners.values()}.values())
    steps = first_steps(tasks.spec.steps) if tasks.spec.method == "halving" else None
    controls = tasks.score(distinct, "controls", steps=steps, draws=tasks.spec.controls)
    return {
        name: better_p(np.array(records[name].units), np.array(controls[control.name].units))
        for name, control in owners.items()
    }
