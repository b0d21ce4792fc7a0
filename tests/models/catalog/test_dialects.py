"""Words with several meanings: parameter counts by formula, the choice by file, form, option and shapes."""

from typing import Any

import pytest

from models import SpecError, build_model, read_spec
from models.catalog.dialect_shapes import comparable_shapes, count_parameters, shapes_of
from models.catalog.dialects import structures
from models.network.dialect_choice import candidates, choose_by_shapes

# (word, structure) → parameters at C channels, worked out from the layers that forks write.
FORMULAS = {
    ("CBAM", "forks"): lambda c: 2 * c * (c // 16) + 98,
    ("CBAM", "biases"): lambda c: 2 * c * (c // 16) + c // 16 + c + 98 + 1,
    ("CBAM", "paper"): lambda c: 2 * c * (c // 16) + c // 16 + c + 98 + 2,
    ("CBAM", "ultralytics"): lambda c: c * c + c + 98,
    ("CBAM", "conv"): lambda c: c * c + 2 * c + 2 * c * (c // 16) + 98,
    ("CBAM", "bottleneck"): lambda c: c * c // 2 + c + c // 2 * c * 9 + 2 * c + 2 * c * (c // 16) + 18,
    ("SE", "forks"): lambda c: 2 * c * (c // 16),
    ("SE", "wide"): lambda c: 2 * c * max(c // 16, 8),
    ("ECA", "forks"): lambda c: 3,
    ("CoordAtt", "paper"): lambda c: 3 * c * max(8, c // 32) + 3 * max(8, c // 32) + 2 * c,
    ("CoordAtt", "unbiased"): lambda c: 3 * c * max(8, c // 32) + 2 * max(8, c // 32),
    ("EMA", "forks"): lambda c: 10 * (c // 8) ** 2 + 4 * (c // 8),
    ("EMA", "paper"): lambda c: 10 * (c // 32) ** 2 + 4 * (c // 32),
    ("EMA", "one"): lambda c: 10 * c**2 + 4 * c,
    ("ShuffleAttention", "forks"): lambda c: 6 * (c // 16),
    ("GAM", "paper"): lambda c: (2 * 49 + 2) * c * (c // 4) + 4 * (c // 4) + 4 * c,
    ("ChannelAttention", "ultralytics"): lambda c: c * c + c,
    ("SpatialAttention", "ultralytics"): lambda c: 98,
    ("MHSA", "forks"): lambda c: 3 * c * c + 3 * c,
}
# Counted in the code of public forks: word, channels, parameters there.
COUNTED = [
    ("CA", 32, 856),
    ("CA", 256, 6680),
    ("CA", 512, 24608),
    ("CBAM", 32, 1154),
    ("CBAM", 64, 4258),
    ("CBAM", 128, 2146),
    ("CBAM", 128, 18786),
    ("CBAM", 256, 65890),
    ("CBAM", 512, 32866),
    ("CBAM", 512, 1345042),
    ("CBAM", 1024, 1181794),
    ("CoordAtt", 64, 1688),
    ("CoordAtt", 512, 25648),
    ("ECA", 512, 3),
    ("EMA", 64, 672),
    ("EMA", 64, 41216),
    ("EMA", 256, 672),
    ("EMA", 256, 656384),
    ("GAM", 64, 102720),
    ("GAM", 256, 1639680),
    ("SE", 32, 512),
    ("SE", 256, 8192),
    ("SE", 512, 32768),
    ("SKAttention", 256, 5550112),
    ("TripletAttention", 256, 300),
]


@pytest.mark.parametrize(("word", "name"), FORMULAS)
def test_parameters_of_structures(word: str, name: str) -> None:
    structure = next(s for s in structures(word) if s.name == name)
    for channels in (64, 256):
        assert count_parameters(structure, channels) == FORMULAS[word, name](channels)


@pytest.mark.parametrize(("word", "channels", "parameters"), COUNTED)
def test_a_structure_has_the_parameters_of_forks(word: str, channels: int, parameters: int) -> None:
    assert parameters in [count_parameters(s, channels) for s in structures(word)]


def change(description: dict[str, Any], row: int, new: list[Any]) -> dict[str, Any]:
    """Return a description with another row."""
    backbone, head = list(description["backbone"]), list(description["head"])
    backbone[row] = new
    return {**description, "backbone": backbone, "head": head}


def row(small: dict[str, Any], new: list[Any], **more: Any) -> Any:
    return read_spec({**change(small, 4, new), **more}).layer("4")


def test_the_form_of_a_row_says_whose_it_is(small: dict[str, Any]) -> None:
    ours, theirs = row(small, [-1, 1, "CBAM", []]), row(small, [-1, 1, "CBAM", [16]])
    assert not ours.attention.kwargs
    assert not ours.note
    assert theirs.attention.kwargs == {"bias": False, "norm": False, "spatial_bias": False, "min_hidden": 1}
    # 16 channels: 2 · 16 · 1 + 98, and with the paper's biases, 4 hidden channels at least and normalisation
    assert "built as forks (no biases, no normalisation, 130 parameters)" in theirs.note
    assert "paper (biases, normalised spatial map, 248 parameters)" in theirs.note
    assert "choose with dialect: {CBAM: paper}" in theirs.note


def test_files_of_ultralytics_mean_its_classes(small: dict[str, Any]) -> None:
    free = {**small, "head": [*small["head"][:-1], [[9, 12], 1, "Detect", ["nc"]]], "anchors": None}
    for args in ([], [7], [16], [16, 7]):
        layer = row(free, [-1, 1, "CBAM", args])
        assert layer.attention.module == "ultralytics.nn.modules.conv.CBAM"
        assert dict(layer.attention.kwargs) == ({"kernel_size": 7} if 7 in args else {})
    assert row(free, [-1, 1, "CBAM", {"reduction": 4}]).attention.module == "CBAM"
    assert read_spec(free, ["CBAM@4"]).layer("4+CBAM").attention.module == "CBAM"


@pytest.mark.parametrize("said", [{"CBAM": "paper"}, {4: "paper"}, {"4": "paper"}, "paper", {"default": "paper"}])
def test_a_dialect_chooses(said: object, small: dict[str, Any]) -> None:
    assert not row(small, [-1, 1, "CBAM", [16]], dialect=said).attention.kwargs


def test_a_dialect_in_row_and_entry(small: dict[str, Any]) -> None:
    layer = row(small, [-1, 1, "SE", [16, 4, {"dialect": "wide"}]])
    assert layer.attention.kwargs == {"bias": False, "min_hidden": 8, "reduction": 4}
    for entry in ("ECA{dialect: forks}@4", {"module": "ECA", "at": 4, "dialect": "forks"}):
        assert read_spec(small, [entry]).layer("4+ECA").attention.kwargs == {"kernel_size": 3}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("no", "dialect of 'default' is 'no'; there are "),
        ({"CBAN": "paper"}, "dialect names 'CBAN', which is no row and no word of attention"),
        ({99: "paper"}, "dialect names 99"),
        ({"CBAM": 3}, "dialect of 'CBAM' is 3"),
        ([1], r"dialect is \[1\], expected a name"),
        ({"CBAM": "wide"}, "CBAM has no dialect 'wide'; it has forks, paper, biases, ultralytics, conv, bottleneck"),
    ],
)
def test_dialects_that_do_not_exist(said: object, expected: str, small: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=expected):
        row(small, [-1, 1, "CBAM", [16]], dialect=said)


POSITIONAL = [
    ("SE", [16], {"bias": False, "min_hidden": 1}),
    ("SE", [16, 4], {"bias": False, "min_hidden": 1, "reduction": 4}),
    ("SE", [4], {"bias": False, "min_hidden": 1, "reduction": 4}),
    ("SimAM", ["1e-4"], {"lam": 1e-4}),
    ("SimAM", [16, 0.001], {"lam": 0.001}),
    ("GAM_Attention", [16, 16], {}),
    ("GAM_Attention", [16, 16, 2], {"reduction": 2}),
    ("GAMAttention", [16], {"channel_gate": False, "groups": 4, "gate_shuffle": 4, "min_hidden": 1}),
    (
        "GAMAttention",
        [16, 16, True, 4],
        {"channel_gate": False, "groups": 4, "gate_shuffle": 4, "min_hidden": 1, "reduction": 4},
    ),
    ("GAMAttention", [16, False], {"channel_gate": False, "gate_shuffle": 4, "min_hidden": 1}),
    ("GAMAttention", [16, 16, False, 2], {"channel_gate": False, "gate_shuffle": 4, "min_hidden": 1, "reduction": 2}),
    ("CoordAtt", [16, 16, 8], {"reduction": 8}),
    ("ECA_layer", [16, 5], {"kernel_size": 5}),
    ("BAM", [16, 8, 2], {"reduction": 8, "dilation": 2}),
    ("SpatialGroupEnhance", [8], {"groups": 8}),
    ("ShuffleAttention", [16, 16, 4], {"groups": 4}),
    ("AIFI", [16, 8], {"hidden": 16, "heads": 8}),  # ultralytics inserts the channels: hidden and heads are written
    ("AIFI", [32], {"hidden": 32}),
    ("AIFI", [16, 2, 0.0], {"hidden": 16, "heads": 2}),
    ("DoubleAttention", [16], {"reduction": 128, "min_hidden": 128}),
    ("DoubleAttention", [16, 64, 64, True], {"reduction": 64, "min_hidden": 64}),
    ("MultiSEAM", [16, 16, 2, 5], {"depth": 2, "kernel_size": 5}),
    ("MultiSEAM", [16, 16, 1, [3, 5], 8], {"depth": 1, "patches": [3, 5], "reduction": 8}),
    ("MHSA", [14, 14, 2], {"bias": True, "position": False, "scaled": False, "heads": 2}),
]


@pytest.mark.parametrize(("word", "args", "options"), POSITIONAL)
def test_options_by_position(word: str, args: list[Any], options: dict[str, Any], small: dict[str, Any]) -> None:
    assert dict(row(small, [-1, 1, word, args]).attention.kwargs) == options


def test_what_the_lines_say_of_a_fork_that_computes_otherwise(small: dict[str, Any]) -> None:
    note = row(small, [-1, 1, "GAMAttention", [16, False]]).note
    assert "False is group; GAMAttention is built as ungrouped (1 group, gate shuffled" in note
    assert "20 is width, which that code does not use" in row(small, [-1, 1, "MHSA", [20, 20]]).note
    assert "logits not scaled" in row(small, [-1, 1, "MHSA", [16]]).note
    assert "pixels of the border repeated" in row(small, [-1, 1, "GAM", [16]]).note


def test_a_number_that_could_be_channels_and_option(small: dict[str, Any]) -> None:
    wide = {**small, "width_multiple": 2.0}
    layer = row(wide, [-1, 1, "CA", [32]])  # the map has 32; rows write channels before the width, so 16
    assert layer.attention.kwargs == {"reduction": 32}
    assert "32 is taken for an option although the map has 32 channels" in layer.note
    assert not row(wide, [-1, 1, "CA", [16]]).attention.kwargs
    assert "an option is written by name" in row(small, [-1, 1, "CA", [16]]).note


FUSED = {
    "C3CBAM": ("NarrowC3", "each", "CBAM"),
    "C3_SE": ("NarrowC3", "each", "SE"),
    "C3_SE_Attention": ("NarrowC3", "each", "SE"),
    "C3ECA": ("NarrowC3", "each", "ECA"),
    "C2f_EMA": ("C2f", "each", "EfficientMultiScale"),
    "C3k2_CBAM": ("C3k2", "last", "CBAM"),
    "Conv_CBAM": ("Conv", "last", "CBAM"),
    "CBAMC3": ("C3", "last", "CBAM"),
    "SPPF_CBAM": ("SPPF", "last", "CBAM"),
    "EMAConv": ("Conv", "last", "EfficientMultiScale"),  # not EM and AConv
    "LSKAConv": ("Conv", "last", "LSKA"),  # not LSK and AConv
}


@pytest.mark.parametrize("word", ["ASPP", "MPCA", "SPSA", "SAConv"])
def test_words_of_other_modules_are_no_block_with_attention(word: str, small: dict[str, Any]) -> None:
    """ASPP pools at several dilations, MPCA is a mechanism, SAConv switches dilations: none is here."""
    with pytest.raises(SpecError, match=f"row 4 .* unknown module '{word}'"):
        row(small, [-1, 1, word, [16]])


def test_a_number_in_the_place_of_the_shortcut_is_said_to_be_one(small: dict[str, Any]) -> None:
    """The forks' classes take it for true as well; whoever writes it means a reduction."""
    said = "16 is shortcut, read as True: options of SE are written by name"
    assert said in row(small, [-1, 1, "C3SE", [16, 16]]).note
    assert "is shortcut" not in row(small, [-1, 1, "C3SE", [16, False]]).note


def test_maps_of_double_attention_that_differ_in_width_are_refused(small: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="options of DoubleAttention are written by name"):
        row(small, [-1, 1, "DoubleAttention", [16, 64, 32]])


@pytest.mark.parametrize("word", FUSED)
def test_blocks_with_attention_in_them(word: str, small: dict[str, Any]) -> None:
    layer = row(small, [-1, 1, word, [16]])
    block, where, mechanism = FUSED[word]
    assert (layer.module, layer.inside[0].where, layer.inside[0].attention.module) == (block, where, mechanism)
    assert f"{word} is built as" in layer.note
    model = build_model(change(small, 4, [-1, 1, word, [16]]))
    assert any(".attention" in key for key in model.state_dict()) or mechanism == "ECA"


def test_words_that_may_hold_a_block(small: dict[str, Any]) -> None:
    """The structures of CBAM with a convolution, and within a bottleneck, take other channels and kernels."""
    layer = row(small, [-1, 1, "CBAM", [24, 3]], dialect={"CBAM": "conv"})
    assert (layer.module, layer.channels) == ("Conv", 24)
    assert layer.call.args == (16, 24, 3, 1, None, 1, 1, "nn.Hardswish()")
    assert row(small, [-1, 1, "CBAM", [16, 1]]).dialect == "conv"  # 1 is no kernel of attention and no reduction
    layer = row(small, [-1, 1, "CBAM", [16, 7]], dialect={4: "bottleneck"})
    assert layer.module == "Bottleneck"
    assert layer.inside[0].attention.kwargs["kernel_size"] == 7
    assert row(small, [-1, 1, "PSA", [16]]).attention.module == "PolarizedSelfAttention"
    assert row(small, [-1, 1, "PSA", [16]], dialect={"PSA": "ultralytics"}).module == "PSA"


def test_the_place_of_attention_in_a_block_can_be_chosen(small: dict[str, Any]) -> None:
    layer = row(small, [-1, 1, "C3CBAM", [16, {"dialect": "last+paper", "kernel_size": 3}]])
    assert (layer.module, layer.inside[0].where) == ("C3", "last")
    assert layer.inside[0].attention.kwargs == {"kernel_size": 3}
    assert row(small, [-1, 1, "C3CBAM", [16]], dialect={"C3CBAM": "each"}).module == "C3"


def test_parameters_of_c3cbam(small: dict[str, Any]) -> None:
    """C3 of 16 → 16 with two bottlenecks of 8 → 4 → 8, each with CBAM at 8 channels (reduced to 1, as 8 // 16 is 0)."""
    model = build_model(change(small, 4, [-1, 2, "C3CBAM", [16]]))
    conv = lambda a, b, k: a * b * k * k + 2 * b  # noqa: E731
    cbam = 2 * 8 * 1 + 98
    expected = 2 * conv(16, 8, 1) + conv(16, 16, 1) + 2 * (conv(8, 4, 1) + conv(4, 8, 3) + cbam)
    assert sum(p.numel() for p in model.model.get_submodule("4").parameters()) == expected


@pytest.mark.parametrize("word", ["CBAM", "SE", "EMA", "C3CBAM", "Conv_CBAM"])
def test_the_shapes_of_tensors_choose(word: str, small: dict[str, Any]) -> None:
    wide = {**small, "width_multiple": 8.0}
    description = change(wide, 4, [-1, 1, word, [16]])
    seen: dict[Any, str] = {}
    for name in candidates(word):
        spec = read_spec({**description, "dialect": {4: name}})
        shapes = [tuple(p.shape) for p in build_model(spec.yaml).model.get_submodule("4").parameters()]
        first = seen.setdefault(str(sorted(shapes)), name)
        chosen = choose_by_shapes(description, {4: shapes})[4]
        assert chosen in (name, first, read_spec(description).layer("4").dialect)
        rebuilt = build_model({**description, "dialect": {4: chosen}}).model.get_submodule("4")
        assert sum(p.numel() for p in rebuilt.parameters()) == sum(p[0] * 0 + _size(p) for p in shapes)
    assert choose_by_shapes(description, {4: [(1, 2, 3)]}) == {}


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product


def test_shapes_of_one_layer() -> None:
    shapes = [(4, 64, 1, 1), (64, 4, 1, 1), (1, 2, 7, 7)]
    known = {structure.name: comparable_shapes(shapes_of(structure, 64) or []) for structure in structures("CBAM")}
    assert next(name for name in known if known[name] == comparable_shapes(shapes)) == "forks"
    assert comparable_shapes(shapes[:2]) not in known.values()


def test_a_description_says_again_what_was_built(small: dict[str, Any]) -> None:
    spec = read_spec(change(small, 4, [-1, 1, "CBAM", [16]]))
    assert spec.yaml["dialect"] == {4: "forks"}
    assert read_spec(spec.yaml).layer("4").attention.kwargs == spec.layer("4").attention.kwargs
    assert "dialect" not in read_spec(small).yaml
    before = {key: value for key, value in spec.yaml.items() if key != "dialect"}
    assert not read_spec({"dialect": "paper", **before}).layer("4").attention.kwargs  # a checkpoint of before
