"""Names of blocks that have attention built in: C3CBAM, C2f_EMA, Conv_CBAM, CBAMC3.

Such a name is a block and a mechanism; what is left to say is the place of the attention in the block, which the forks
chose differently. So one generic part builds them all: the block, with attention inside it.
"""

from dataclasses import dataclass
from typing import Any

from attention import ATTENTION
from models.catalog.dialect_table import OLDER_CONV, STRUCTURES
from models.catalog.mechanisms import is_mechanism
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import STOCK


@dataclass(frozen=True)
class Placement:
    """One way to build a mechanism into a block.

    Attributes:
        name: what `dialect:` says to choose it.
        block: the block, by its name in the catalog.
        where: "each" or "last", see `models/network/attention_inside.py`.
        about: what it is, in a few words.
        fill: the block's arguments after the channels, which those in the row replace from the left.
    """

    name: str
    block: str
    where: str
    about: str
    fill: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Fused:
    """A name that is a block and a mechanism.

    Attributes:
        block: name of the block.
        mechanism: the other part of the name.
        placements: ways to build it, the most frequent first.
    """

    block: str
    mechanism: str
    placements: tuple[Placement, ...]


# Blocks that have no weights of their own, so that no fork builds attention into them: MPCA is not MP with CA.
_WITHOUT_ATTENTION = frozenset({"Concat", "CBFuse", "CBLinear", "Shortcut", "Detect", "MP", "SP", "ReOrg"})
# Words that read as block and mechanism, and are known as something else.
_OTHER_MEANING = frozenset({"SAConv", "SAConv2d"})  # switchable atrous convolution
_SHORTEST = 3  # letters of another spelling of a mechanism; shorter ones are parts of words: the A of ASPP


def split_fused(word: str) -> Fused | None:
    """Split a name into block and mechanism, None if it is no such name.

    Args:
        word: name in a row, such as "C3CBAM" or "C3_SE_Attention".
    """
    if word in BLOCKS or word in STOCK or "." in word or word in _OTHER_MEANING:
        return None
    blocks = sorted((name for name in (*STOCK, *BLOCKS.names()) if _takes_attention(name)), key=len, reverse=True)
    for block in blocks:
        if word.startswith(block) and _is_attention(word[len(block) :].lstrip("_")):
            return Fused(block, word[len(block) :].lstrip("_"), _placements(block))
    for block in reversed(blocks):  # the longest mechanism: EMAConv is EMA and Conv, not EM and AConv
        rest = word.removesuffix(block)
        if rest != word and _is_attention(rest.rstrip("_")):
            return Fused(block, rest.rstrip("_"), tuple(p for p in _placements(block) if p.where == "last"))
    return None


def _takes_attention(block: str) -> bool:
    return not block.startswith("nn.") and block not in _WITHOUT_ATTENTION and block[0].isupper()


def _is_attention(word: str) -> bool:
    if word in STRUCTURES or ATTENTION.is_spelt(word):
        return True
    return len(word) >= _SHORTEST and "." not in word and is_mechanism(word)


def _placements(block: str) -> tuple[Placement, ...]:
    """Return the ways in which forks build attention into a block."""
    last = Placement("last", block, "last", "attention on the output of the block")
    each = Placement("each", block, "each", "attention in each unit, before its shortcut")
    if block == "C3":
        narrow = Placement("narrow", "NarrowC3", "each", "attention in each bottleneck, which is half as wide (e 0.5)")
        return narrow, each, last
    if block == "Conv":
        older = Placement("hardswish", block, "last", "Hardswish, then attention", OLDER_CONV)
        return older, last
    return (last, each) if block in ("C3k2", "SPPF", "SPP", "SPPCSPC") else (each, last)
