"""What a resolved model consists of: frozen layers that name what they read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from models.catalog.channel_rules import Call

IMAGE = "image"  # the name that a layer reads when it reads the model's input


@dataclass(frozen=True)
class Attention:
    """One use of a mechanism.

    Attributes:
        module: its canonical name, see `models/catalog/mechanisms.py`.
        kwargs: its options; channels are inferred.
        identity: whether it starts as the identity, x + γ·(A(x) − x) with γ = 0.
        repeats: how many stand in a row.
        origin: file and entry or row, for messages.
    """

    module: str
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    identity: bool = False
    repeats: int = 1
    origin: str = ""


@dataclass(frozen=True)
class InnerAttention:
    """Attention inside a block.

    Attributes:
        attention: the mechanism.
        where: "each" (after the last convolution of every repeated unit) or "last" (after the block's output
            convolution).
    """

    attention: Attention
    where: str


@dataclass(frozen=True)
class Layer:
    """One layer of a resolved model.

    Attributes:
        name: for life: the base's row number, or "4+CBAM" for attention placed after row 4.
        module: name of block, head or mechanism as the YAML writes it.
        args: the row's literal arguments, as written but with nc and anchors filled in.
        reads: names of the layers read, in order; "image" for the input.
        reads_list: whether the layer takes a list of maps.
        number: repetitions after depth scaling.
        section: "backbone", "neck" or "head".
        call: constructor arguments and what comes out.
        alias: a second name for selectors.
        attention: set where the layer is an attention mechanism.
        inside: mechanisms within the block, in the order written.
        note: what a row written as forks write it was understood as; "" for this project's own notation.
        dialect: which of the structures that the row's word may mean was built; "" for a word of one meaning.
        placed: "at" or "between" for attention that an entry placed, None for a row of the base.
        origin: file and row, for messages.
    """

    name: str
    module: str
    args: tuple[Any, ...]
    reads: tuple[str, ...]
    reads_list: bool
    number: int
    section: str
    call: Call
    alias: str | None = None
    attention: Attention | None = None
    inside: tuple[InnerAttention, ...] = ()
    placed: str | None = None
    note: str = ""
    dialect: str = ""
    origin: str = ""

    @property
    def channels(self) -> int | tuple[int, ...]:
        """Channels of the output; a tuple where the layer returns a list of maps, empty for the head."""
        return self.call.channels

    @property
    def stride(self) -> int | Fraction | None:
        """Pixels of the image a step of the output map; None for the head and where only running the layer tells."""
        stride = self.call.stride
        return stride.numerator if stride is not None and stride.denominator == 1 else stride

    @property
    def is_base(self) -> bool:
        """Whether the layer is a row of the base rather than placed after one."""
        return self.placed is None
