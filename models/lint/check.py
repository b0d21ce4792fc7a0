"""`python -m models.lint MY.yaml --base BASE.yaml`: what hand edits did to a model's references.

The rows of both files are paired; then each reference of the edited file must reach what it reached in the base, or
attention that was put behind it. Nothing needs to resolve for that, so broken files are explained too.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from models.catalog.channel_rules import Reads
from models.catalog.dialects import is_word
from models.errors import SpecError
from models.lint.pair_rows import Pairing, absolute, pair_rows
from models.spec.attention_row import read_attention
from models.spec.base_files import describe
from models.spec.header import Settings, read_settings
from models.spec.layer import Layer
from models.spec.resolve import literal, resolve_rows
from models.spec.row import Row


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong.

    Attributes:
        row: number in the edited file; None for the file as a whole.
        kind: "stale" (an absolute reference that was not shifted), "relative" (one that counts back to another row
            now), "reference" (one that was changed to another layer), "unshifted" and "only-absolute" (the whole file),
            "dangling", "replaced", "removed", "channels", "unknown" or "error".
        message: what was found and what to write.
    """

    row: int | None
    kind: str
    message: str


@dataclass
class Report:
    """What lint found.

    Attributes:
        findings: what looks wrong.
        notes: what is worth knowing and right as it is.
        overlay: the same attention as an overlay of the base; None where an overlay cannot say it.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    overlay: dict[str, Any] | None = None


def lint(mine: str | Path | Mapping[str, Any], base: str | Path | Mapping[str, Any]) -> Report:
    """Compare a hand-edited description with the base that it was made from.

    Args:
        mine: path or content of the edited model YAML.
        base: path, name or content of the base.

    Raises:
        SpecError: if either is no model YAML at all, or mine is an overlay already.
    """
    new, old = _settings(mine), _settings(base)
    pairing = pair_rows(new.rows, old.rows)
    report = Report()
    wrong = _check_references(new.rows, old.rows, pairing, report)
    _check_rows(new, old, pairing, report)
    _check_resolution(new, report)
    report.overlay = _overlay(new, old, pairing, base, bool(wrong))
    if report.overlay is None and pairing.inserted:
        report.notes.append("not all inserted rows are attention, so an overlay cannot say the same")
    report.findings.sort(key=lambda finding: (finding.row is not None, finding.row or 0))
    return report


def _settings(cfg: str | Path | Mapping[str, Any]) -> Settings:
    description = describe(cfg)
    if description.entries:
        raise SpecError(
            f"{description.label}: is an overlay, whose references cannot go stale; lint checks edited rows"
        )
    return read_settings(description.data, description.label)


def _check_references(new: Sequence[Row], old: Sequence[Row], pairing: Pairing, report: Report) -> list[str]:
    """Report references that reach another layer than in the base, and return their causes."""
    causes: list[str] = []
    right_absolute = 0
    for row in new:
        partner = pairing.old_of.get(row.index)
        if partner is None:
            continue
        before, now = absolute(old[partner]), absolute(row)
        raw_before, raw_now = _raw(old[partner]), _raw(row)
        if len(before) != len(now):
            causes.append("reference")
            text = f"reads {len(now)} maps, {len(before)} in the base{_looks(row)}"
            report.findings.append(Finding(row.index, "reference", text))
            continue
        for was, target, raw_was, raw in zip(before, now, raw_before, raw_now, strict=True):
            if pairing.reaches(target, was):
                right_absolute += raw >= 0 and raw != raw_was
                continue
            cause = "reference" if raw != raw_was else "stale" if raw >= 0 else "relative"
            causes.append(cause if raw != -1 else "previous")
            report.findings.append(Finding(row.index, cause, _explain(new, old, pairing, row, (raw, target, was))))
    if "stale" in causes and not right_absolute:
        report.findings.append(
            Finding(None, "unshifted", "rows were inserted, but no reference after them was shifted")
        )
    if "relative" in causes and right_absolute and "stale" not in causes:
        text = "only the absolute references were shifted; the relative ones count back to other rows now"
        report.findings.append(Finding(None, "only-absolute", text))
    return causes


def _explain(
    new: Sequence[Row], old: Sequence[Row], pairing: Pairing, row: Row, reference: tuple[int, int, int]
) -> str:
    raw, target, was = reference
    expected = pairing.last_behind(was)
    there = f"row {target} ({new[target].module})" if 0 <= target < len(new) else "no row of the file"
    text = f"{raw} is {there}, in the base it is row {was} ({old[was].module if was >= 0 else 'image'})"
    if expected is None:
        return f"{text}, which the file no longer has{_looks(row)}"
    return f"{text}, now row {expected}: write {expected if raw >= 0 else expected - row.index}{_looks(row)}"


def _looks(row: Row) -> str:
    if row.module == "Concat":
        return "; this Concat joins other maps than the base's"
    return "; the head reads other layers than the base's" if "Detect" in row.module else ""


def _check_rows(new: Settings, old: Settings, pairing: Pairing, report: Report) -> None:
    """Report rows that nothing reads, that replace a row of the base, or whose module is unknown."""
    read = {target for row in new.rows for target in absolute(row)}
    for index in pairing.inserted:
        if index not in read:
            text = f"{new.rows[index].module} is read by no row; the rows after it go round it"
            report.findings.append(Finding(index, "dangling", text))
    for index, gone in pairing.replaced.items():
        text = f"{new.rows[index].module} stands in the place of {old.rows[gone].module}, whose weights are lost"
        report.findings.append(Finding(index, "replaced", f"{text}; an overlay keeps it and adds attention after it"))
    for gone in pairing.removed:
        report.findings.append(Finding(None, "removed", f"row {gone} of the base ({old.rows[gone].module}) is gone"))


def _check_resolution(settings: Settings, report: Report) -> None:
    """Report what keeps the file from being a model, and channels written by hand that do not hold."""
    layers: list[Layer] = []
    try:
        resolve_rows(settings.rows, settings.context, layers)
    except SpecError as error:
        row = settings.rows[len(layers)]
        message = str(error).removeprefix(f"{row.origin}: ")
        if is_word(row.module) and "is not the number of channels" in message:
            kind = "channels"
        else:
            kind = "unknown" if "unknown module" in message or "not on the list" in message else "error"
        if kind != "error" or all(finding.row != row.index for finding in report.findings):
            report.findings.append(Finding(row.index, kind, message))
    report.notes += [f"row {layer.name}: {layer.note}" for layer in layers if layer.note]


def _overlay(
    new: Settings, old: Settings, pairing: Pairing, base: str | Path | Mapping[str, Any], wrong: bool
) -> dict[str, Any] | None:
    """Return the overlay that says the same; where references are wrong, what was most likely meant."""
    if not pairing.inserted or any(not is_word(new.rows[i].module) for i in pairing.inserted):
        return None
    entries: list[dict[str, Any]] = []
    channels = _channels(old)
    for index in pairing.inserted:
        row, root = new.rows[index], pairing.root_of.get(index)
        if root is None or root < 0:
            return None
        readers = [r.index for r in old.rows if root in absolute(r)]
        plain = [pairing.new_of[r] for r in readers if r in pairing.new_of]
        through = [i for i in plain if any(pairing.behind(t, index) for t in absolute(new.rows[i]))]
        entry: dict[str, Any] = {"module": row.module}
        if wrong or not through or len(through) == len(plain):
            entry["at"] = root
        else:
            chosen = [pairing.old_of[i] for i in through]
            entry["between"] = [root, chosen[0] if len(chosen) == 1 else chosen]
        options = _options(row, new, channels.get(root))
        if options is None:
            return None
        entries.append({**entry, **options})
    return {"base": str(base) if not isinstance(base, Mapping) else "BASE", "attention": entries}


def _channels(settings: Settings) -> dict[int, int]:
    """Return the channels of each row that resolves and gives one map."""
    layers: list[Layer] = []
    with suppress(SpecError):
        resolve_rows(settings.rows, settings.context, layers)
    return {int(layer.name): layer.channels for layer in layers if isinstance(layer.channels, int)}


def _options(row: Row, settings: Settings, channels: int | None) -> dict[str, Any] | None:
    """Return what an attention row says besides its place, as an entry says it; None where no entry can."""
    context = settings.context
    try:
        reading = read_attention(
            row,
            Reads((channels or 0,), (None,), False),
            context.scale,
            context.dialect,
            partial(literal, context=context),
        )
    except ValueError:  # channels that are another map's; what the row says by name is still meant
        named = [arg for arg in row.args if isinstance(arg, Mapping)] if isinstance(row.args, list) else row.args
        plain = replace(row, args=named)
        reading = read_attention(
            plain, Reads((1,), (None,), False), context.scale, context.dialect, partial(literal, context=context)
        )
    if reading.structure.block:
        return None
    found: dict[str, Any] = {}
    if reading.structure.name != "paper":
        found["dialect"] = reading.structure.name
    if reading.options:
        found["args"] = dict(reading.options)
    if reading.identity or (reading.identity is None and context.identity):
        found["identity"] = True
    repeats = context.scale.repeats(row.number)
    if repeats > 1:
        found["repeat"] = repeats
    return found


def _raw(row: Row) -> list[int]:
    return list(row.source) if isinstance(row.source, list) else [row.source]


def render(report: Report, mine: str, base: str) -> str:
    """Return a report as text."""
    lines = [f"{mine} against {base}: {len(report.findings) or 'no'} finding{'s' * (len(report.findings) != 1)}"]
    for finding in report.findings:
        lines.append(f"  {'file' if finding.row is None else f'row {finding.row}'}: {finding.kind}: {finding.message}")
    lines += [f"  note: {note}" for note in report.notes]
    if report.overlay:
        meant = "What was probably meant" if report.findings else "The same"
        lines += [f"{meant}, as an overlay that never goes stale:", f"base: {report.overlay['base']}", "attention:"]
        for entry in report.overlay["attention"]:
            lines.append("  - " + yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000).strip())
    return "\n".join(lines)
