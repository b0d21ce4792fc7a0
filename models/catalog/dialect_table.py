"""Words of model YAMLs that mean more than one layer, and the layers that they mean.

Only facts stand here; `models/catalog/dialects.py` reads them. What a word means in forks was taken from their code;
the name of a structure is what `dialect:` says to choose it:

- paper: this project's mechanism, with its authors' defaults;
- forks: what most forks of YOLOv5, YOLOv7 and ultralytics build;
- ultralytics: the class of that name in the ultralytics package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Structure:
    """One layer that a word may mean.

    Attributes:
        name: what `dialect:` says to choose it.
        module: the mechanism, by the name that the catalog knows it by; empty where the row is a plain block.
        options: of the mechanism, where they differ from its defaults.
        orders: positional options after the channels, as the popular code has them, each a possible row. "~x" is an
            argument that the code takes and does not use, "x=3|7" an option that takes these numbers only, "~x=True"
            an argument that says which structure is meant.
        block: name of a block that the mechanism is built into, with what the row says as its arguments.
        where: place in the block: "each" or "last", see `models/network/attention_inside.py`.
        fill: the block's arguments after the channels, which those in the row replace from the left.
        about: what it is, in a few words.
    """

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    orders: tuple[tuple[str, ...], ...] = ()
    block: str = ""
    where: str = "last"
    fill: tuple[Any, ...] = ()
    about: str = ""


# Conv as YOLOv5 had it until its version 4: kernel, stride, padding, groups, dilation, activation.
OLDER_CONV = (1, 1, None, 1, 1, "nn.Hardswish()")

_NN = "ultralytics.nn.modules.conv"
_CBAM_ORDERS = (("kernel_size=3|7",), ("reduction", "kernel_size"))
_CONV_ORDERS = (("k", "s", "p", "g"),)
_BARE_CBAM = {"bias": False, "norm": False, "spatial_bias": False, "min_hidden": 1}

# DoubleAttention of forks says the channels of its two maps, equal in every row seen.
_WIDTHS = tuple((f"reduction={n}", f"min_hidden={n}", "~reconstruct=True") for n in (32, 64, 128, 256))

# Mechanism or word → its structures, most frequent first. A word that is not here means this project's mechanism.
STRUCTURES: dict[str, tuple[Structure, ...]] = {
    "CBAM": (
        Structure("forks", "CBAM", _BARE_CBAM, _CBAM_ORDERS, about="no biases, no normalisation"),
        Structure("paper", "CBAM", {}, _CBAM_ORDERS, about="biases, normalised spatial map"),
        Structure("biases", "CBAM", {"norm": False, "min_hidden": 1}, _CBAM_ORDERS, about="biases, no normalisation"),
        Structure("ultralytics", f"{_NN}.CBAM", {}, (("kernel_size=3|7",),), about="one C→C convolution of the mean"),
        Structure("conv", "CBAM", _BARE_CBAM, _CONV_ORDERS, "Conv", "last", OLDER_CONV, "after a convolution"),
        Structure(
            "bottleneck",
            "CBAM",
            {**_BARE_CBAM, "kernel_size": 3},
            (("kernel_size=3|7",),),
            "Bottleneck",
            "last",
            (True, 1, ((1, 1), (3, 3)), 0.5),
            "at the end of a bottleneck",
        ),
    ),
    "CBAM_Authentic": (
        Structure("forks", "CBAM", _BARE_CBAM, _CBAM_ORDERS, about="no biases, no normalisation"),
        Structure("paper", "CBAM", {}, _CBAM_ORDERS, about="biases, normalised spatial map"),
    ),
    "SE": (
        Structure("forks", "SE", {"bias": False, "min_hidden": 1}, (("reduction",),), about="no biases"),
        Structure("paper", "SE", {}, (("reduction",),), about="biases, at least 4 hidden channels"),
        Structure(
            "wide", "SE", {"bias": False, "min_hidden": 8}, (("reduction",),), about="no biases, at least 8 hidden"
        ),
    ),
    "ECA": (
        Structure("forks", "ECA", {"kernel_size": 3}, (("kernel_size",),), about="kernel 3"),
        Structure("paper", "ECA", {}, (("kernel_size",),), about="kernel by the channels"),
    ),
    "CoordAtt": (
        Structure("paper", "CoordAtt", {}, (("reduction",),), about="biases"),
        Structure("unbiased", "CoordAtt", {"bias": False}, (("reduction",),), about="no biases"),
    ),
    "EfficientMultiScale": (
        Structure("forks", "EfficientMultiScale", {"groups": 8}, (("groups",),), about="8 groups"),
        Structure("paper", "EfficientMultiScale", {}, (("groups",),), about="32 groups"),
        Structure("one", "EfficientMultiScale", {"groups": 1}, (("groups",),), about="1 group"),
    ),
    "ShuffleAttention": (
        Structure(
            "forks", "ShuffleAttention", {"groups": 8}, (("groups",), ("~reduction", "groups")), about="8 groups"
        ),
        Structure("paper", "ShuffleAttention", {}, (("groups",), ("~reduction", "groups")), about="64 groups"),
    ),
    "GAM": (
        Structure("paper", "GAM", {}, (("reduction",),), about="sigmoid on the channel part"),
        Structure("ungated", "GAM", {"channel_gate": False}, (("reduction",),), about="no sigmoid on the channel part"),
        Structure(
            "replicate",
            "GAM",
            {"channel_gate": False, "border": "replicate"},
            (("reduction",),),
            about="the same, pixels of the border repeated",
        ),
    ),
    "GAMAttention": (
        Structure(
            "forks",
            "GAM",
            {"channel_gate": False, "groups": 4, "gate_shuffle": 4, "min_hidden": 1},
            (("~group=True", "reduction=4"),),
            about="4 groups, gate shuffled, no sigmoid on the channel part",
        ),
        Structure("paper", "GAM", {}, (("reduction",),), about="1 group"),
        Structure(
            "ungrouped",
            "GAM",
            {"channel_gate": False, "gate_shuffle": 4, "min_hidden": 1},
            (("~group=False", "reduction"),),
            about="1 group, gate shuffled, no sigmoid on the channel part",
        ),
    ),
    "MHSA2D": (
        Structure(
            "forks",
            "MHSA2D",
            {"bias": True, "position": False, "scaled": False},
            (("heads",), ("~width", "~height"), ("~width", "~height", "heads")),
            about="biases, no positions, logits not scaled",
        ),
        Structure("paper", "MHSA2D", {}, (("heads",),), about="no biases, relative positions"),
    ),
    "CrissCross": (
        Structure("forks", "CrissCross", {"recurrence": 1, "min_hidden": 1}, (("reduction",),), about="one round"),
        Structure("paper", "CrissCross", {}, (("recurrence",),), about="two rounds"),
    ),
    "DoubleAttention": (
        Structure(
            "forks", "DoubleAttention", {"reduction": 128, "min_hidden": 128}, _WIDTHS, about="128 channels a map"
        ),
        Structure("paper", "DoubleAttention", {}, _WIDTHS, about="a quarter of the channels a map"),
    ),
    "ChannelAttention": (
        Structure("paper", "SE", {}, (("reduction",),), about="SE"),
        Structure("ultralytics", f"{_NN}.ChannelAttention", {}, (), about="one C→C convolution of the mean"),
    ),
    "SpatialAttention": (
        Structure("ultralytics", f"{_NN}.SpatialAttention", {}, (("kernel_size=3|7",),), about="no normalisation"),
    ),
    "PSA": (
        Structure("polarized", "PolarizedSelfAttention", {}, (("~kernel_size", "~stride"),), about="polarized"),
        Structure("pyramid", "PyramidSqueeze", {}, (("reduction",),), about="pyramid squeeze"),
        Structure("ultralytics", "", {}, (), "PSA", about="the block of YOLOv10"),
    ),
}

# Orders of mechanisms with one structure, where the popular code's differs from this project's.
ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "SimAM": (("lam",),),
    "SKAttention": (("kernels", "reduction", "groups", "min_hidden"),),
    "SGE": (("groups",),),
    "TripletAttention": (("kernel_size",),),
    "BAM": (("reduction", "dilation"),),
    "FcaNet": (("reduction",),),
    "ExternalAttention": (("entries",),),
    "MultiSEAM": (("depth", "kernel_size", "patches", "reduction"), ("depth", "patches", "reduction")),
    "AIFI": (("hidden", "heads", "~dropout=0|0.0"),),
    "DANet": (("~normalisation",),),
    "PolarizedSelfAttention": (("~normalisation",),),
    "CoT": (("~kernel_size",),),
}

# Mechanisms whose rows never have the channels in front: ultralytics inserts them, [1024, 8] is hidden and heads.
WITHOUT_CHANNELS = frozenset({"AIFI"})

# Places of a mechanism in a block that it is built into, see `models/catalog/fused_words.py`.
PLACEMENTS = ("narrow", "each", "last", "hardswish")
