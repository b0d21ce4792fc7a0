"""Channel rules of layers that read several maps and return one of them."""

from collections.abc import Sequence
from typing import Any

from models.catalog.channel_rules import Call, Reads, Rule, Scale, integer, once, same_stride


def equal_channels(channels: Sequence[int]) -> int:
    """Return the channels that all maps share.

    Raises:
        ValueError: naming them, if they differ.
    """
    if len(set(channels)) > 1:
        raise ValueError(f"sums maps of {', '.join(map(str, channels))} channels, expected equal numbers")
    return channels[0]


def how_many(channels: Sequence[int], allowed: Sequence[int]) -> None:
    """Refuse another number of maps than the layer reads.

    Raises:
        ValueError: naming both.
    """
    if len(channels) not in allowed:
        expected = " or ".join(map(str, allowed))
        raise ValueError(f"reads {len(channels)} maps, expected {expected}: 'from' is a list of so many rows")


def written_channels(args: Sequence[Any], index: int, what: str, channels: int, scale: Scale) -> None:
    """Check channels that a row writes although they are inferred: as they are, or before scaling by the width.

    Raises:
        ValueError: naming both numbers, if they differ.
    """
    if index >= len(args):
        return
    written = integer(args, index, what)
    if channels not in (written, scale.channels(written)):
        raise ValueError(f"argument {index + 1} ({what}) is {written}, but the maps have {channels} channels")


def weighted_sum(*maps: int) -> Rule:
    """Return the rule of `[c1, c2]` rows that sum so many maps of equal channels and then convolve them.

    Forks write both channels as the maps have them, or before scaling; either is read, and `[]` keeps the channels.
    """

    def rule(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
        channels, strides = reads.maps()
        once(number)
        how_many(channels, maps)
        if len(args) > 2:
            raise ValueError(f"has {len(args)} arguments, expected [channels read, channels returned] or []")
        c1 = equal_channels(channels)
        written_channels(args, 0, "channels read", c1, scale)
        c2 = c1
        if len(args) == 2 and args[1] != args[0]:
            scaled = integer(args, 0, "channels read") != c1
            c2 = scale.channels(integer(args, 1, "channels")) if scaled else integer(args, 1, "channels")
        return Call((c1, c2, len(channels)), c2, same_stride(strides))

    return rule
