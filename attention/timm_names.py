"""Take timm's names for options of mechanisms as synonyms of ours, so that snippets written for it work."""

from collections.abc import Mapping
from typing import Any


def from_timm(name: str, channels: int, given: Mapping[str, Any], allowed: Mapping[str, Any]) -> dict[str, Any]:
    """Translate rd_ratio, rd_channels and gate_layer.

    Args:
        name: the mechanism, for messages.
        channels: C.
        given: options as they were written.
        allowed: options of the mechanism with their defaults. A name that the mechanism has itself, or no counterpart
            of, stays as it is.

    Returns:
        Options by our names: rd_ratio is 1 / reduction, rd_channels the reduced width itself, gate_layer the gate.

    Raises:
        ValueError: if one thing is said twice, or a ratio or width is not positive.
    """
    options = dict(given)
    for theirs, ours in (("rd_ratio", "reduction"), ("rd_channels", "reduction"), ("gate_layer", "gate")):
        if theirs not in given or theirs in allowed or ours not in allowed:
            continue
        if ours in options:
            raise ValueError(f"{name}: {theirs} and {ours} say the same; leave one of them out")
        value = options.pop(theirs)
        if ours == "gate":
            options[ours] = value
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{name}: {theirs}={value!r}, expected a positive number")
        if theirs == "rd_ratio":
            options[ours] = 1 / value
        else:
            options[ours] = channels / (value + 0.5)  # C // that is the width, whatever the rounding
            if "min_hidden" in allowed:
                options.setdefault("min_hidden", value)
    return options
