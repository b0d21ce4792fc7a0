"""Report what became of every tensor of a model that took over a checkpoint's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.weights.transfer.class_rows import RowCopy

_NAMED = 12  # tensors that a summary names for one reason; to_dict has all


@dataclass
class TransferReport:
    """What becomes of every tensor of the new model. All lists hold state-dict keys of the new model.

    transferred: taken over whole. new: of layers that the source does not have. missing: the source has the layer, but
    not this tensor. mismatched: the source has it in another shape, or for other classes; `partial` names those of them
    whose rows were taken over where classes correspond. `unused` holds keys of the source that went nowhere. `reasons`
    says why, for every tensor that is not simply transferred and (under "checkpoint:<key>") every unused one. `layers`
    maps each layer of the new model to its counterpart. `lost` names new tensors of base layers for which the source
    has an unused layer of the same type and shapes: weights that could have been kept. `copies` is the plan itself,
    for `apply_transfer`: key → (key of the source, rows or None for the whole tensor).
    """

    transferred: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    copies: dict[str, tuple[str, RowCopy | None]] = field(default_factory=dict, repr=False)
    axes: dict[str, int] = field(default_factory=dict, repr=False)  # to reverse, where the source's order is another
    channels: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)  # of the image, where they differ
    numbers: tuple[int, int] = (0, 0)  # elements transferred whole, elements in all
    attention: set[str] = field(default_factory=set, repr=False)  # new tensors that are attention's
    source_total: int = 0  # tensors of the checkpoint that say something of their own

    @property
    def total(self) -> int:
        """Tensors of the new model."""
        return len(self.transferred) + len(self.new) + len(self.missing) + len(self.mismatched)

    @property
    def complete(self) -> bool:
        """Whether every unchanged tensor was transferred; tensors of another shape or of other classes have changed."""
        return not (self.missing or self.lost)

    def summary(self) -> str:
        """Return a few lines for people: counts, then what is not simply transferred, grouped by reason."""
        lines = [self._first_line(), *(f"  {key}: {self.reasons[key]}" for key in self.channels)]
        for title, names in (("new", self.new), ("missing", self.missing), ("left out or in part", self.mismatched)):
            for reason, count in Counter(self.reasons[name] for name in names).most_common():
                lines.append(f"  {count} {title}: {reason}")
        unused: dict[str, list[str]] = {}
        for name in self.unused:
            unused.setdefault(self.reasons[f"checkpoint:{name}"], []).append(name)
        for reason, names in sorted(unused.items(), key=lambda item: -len(item[1])):
            lines.append(f"  {len(names)} of the checkpoint unused: {reason}: {_listed(names)}")
        if self.lost:
            lines.append(
                f"  {len(self.lost)} could have been kept but their layers moved: {', '.join(self.lost[:3])} …"
            )
        return "\n".join(lines)

    def _first_line(self) -> str:
        """Return what was kept of the checkpoint, and what the model has besides."""
        if len(self.transferred) == self.total and not self.unused:
            return f"Transferred {self.total} of {self.total} tensors (100.0 % of the numbers)"
        kept = len({origin for origin, rows in self.copies.values() if rows is None or rows.complete})
        added = set(self.new)
        parts = [f"kept {kept} of the checkpoint's {self.source_total} tensors"]
        parts += [f"{len(added & self.attention)} new in attention"] if added & self.attention else []
        parts += [f"{len(added - self.attention)} new in other layers"] if added - self.attention else []
        parts += [f"{len(self.mismatched)} of another shape or other classes"] if self.mismatched else []
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole report in JSON types."""
        lists = ("transferred", "new", "missing", "mismatched", "partial", "unused", "lost")
        return {
            "total": self.total,
            "complete": self.complete,
            "numbers_transferred": self.numbers[0],
            "numbers_total": self.numbers[1],
            **{name: list(getattr(self, name)) for name in lists},
            "reasons": dict(self.reasons),
            "layers": dict(self.layers),
        }


def _listed(names: Sequence[str]) -> str:
    """Return names, the first of them where there are many."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
