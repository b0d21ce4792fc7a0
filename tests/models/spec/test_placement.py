"""Where entries put attention: graphs by hand, order, chains, connections, and refusals."""

from typing import Any

import pytest

from models import ModelSpec, SpecError, read_spec


def graph(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """Return what each layer reads, in running order."""
    return {layer.name: layer.reads for layer in spec.layers}


def test_at_renames_what_readers_read(small: dict[str, Any]) -> None:
    plain, spec = graph(read_spec(small)), read_spec(small, ["SE@4"])
    found = graph(spec)
    assert found.pop("4+SE") == ("4",)
    assert found == {**plain, "5": ("4+SE",), "8": ("7", "4+SE")}
    assert list(graph(spec))[4:6] == ["4", "4+SE"]
    new = spec.layer("4+SE")
    assert (new.channels, new.stride, new.section, new.placed) == (16, 8, "backbone", "at")
    assert spec.layer("4").placed is None


def test_several_at_one_layer_stand_in_the_order_written(small: dict[str, Any]) -> None:
    spec = read_spec(small, ["SE@4", "CBAM@backbone.P3", "SE@4"])
    assert list(graph(spec))[4:8] == ["4", "4+SE", "4+CBAM", "4+SE-2"]
    assert [spec.layer(name).reads[0] for name in ("4+SE", "4+CBAM", "4+SE-2", "5")] == [
        "4",
        "4+SE",
        "4+CBAM",
        "4+SE-2",
    ]


def test_before_the_head(small: dict[str, Any]) -> None:
    spec = read_spec(small, ["CBAM@neck.P3,neck.P4"])
    assert spec.head.reads == ("9+CBAM", "12+CBAM")
    assert spec.layer("10").reads == ("9+CBAM",)


def test_after_a_named_mechanism(small: dict[str, Any]) -> None:
    entries = [{"module": "SE", "at": 4, "name": "mine"}, "CBAM@4", "ECA@mine"]
    assert list(graph(read_spec(small, entries)))[4:8] == ["4", "4+SE", "4+ECA", "4+CBAM"]
    assert read_spec(small, entries).layer("5").reads == ("4+CBAM",)


def test_between_changes_one_connection(small: dict[str, Any]) -> None:
    plain, found = graph(read_spec(small)), graph(read_spec(small, ["SE@between:4,8"]))
    assert found.pop("4+SE") == ("4",)
    assert found == {**plain, "8": ("7", "4+SE")}


def test_between_follows_every_at(small: dict[str, Any]) -> None:
    found = graph(read_spec(small, ["SE@between:4,8", "CBAM@4", "SE@between:4,8"]))
    assert found["4+CBAM"] == ("4",)
    assert found["4+SE"] == ("4+CBAM",)
    assert found["4+SE-2"] == ("4+SE",)
    assert (found["5"], found["8"]) == (("4+CBAM",), ("7", "4+SE-2"))


def test_between_one_layer_and_several_readers(small: dict[str, Any]) -> None:
    spec = read_spec(small, [{"module": "SE", "between": [6, [11, 7]]}])
    assert spec.layer("7").reads == ("6+SE",)
    assert spec.layer("11").reads == ("10", "6+SE")
    assert list(graph(spec))[6:9] == ["6", "6+SE", "7"]
    assert graph(read_spec(dict(spec.yaml))) == graph(spec)


def test_between_and_the_head(small: dict[str, Any]) -> None:
    spec = read_spec(small, ["SE@between:9,13"])
    assert spec.head.reads == ("9+SE", "12")
    assert spec.layer("10").reads == ("9",)


def test_inside_leaves_the_graph_alone(small: dict[str, Any]) -> None:
    spec = read_spec(small, ["SE@inside:C3", "CBAM@inside/last:neck.C3"])
    assert graph(spec) == graph(read_spec(small))
    assert [len(layer.inside) for layer in spec.layers if layer.module == "C3"] == [1, 1, 2, 2]
    assert [inner.where for inner in spec.layer("9").inside] == ["each", "last"]


def test_options_of_an_entry(small: dict[str, Any]) -> None:
    entry = {"module": "SE", "at": 4, "args": {"reduction": 4}, "identity": True, "repeat": 3}
    layer = read_spec(small, [entry]).layer("4+SE")
    assert (dict(layer.attention.kwargs), layer.attention.identity, layer.attention.repeats) == (
        {"reduction": 4},
        True,
        3,
    )


def test_identity_for_all_entries(small: dict[str, Any]) -> None:
    entries = ["SE@4", {"module": "SE", "at": 9, "identity": False}]
    for spec, expected in (
        (read_spec({**small, "identity": True, "attention": entries}), [True, False]),
        (read_spec(small, entries, identity=True), [True, True]),
    ):
        assert [layer.attention.identity for layer in spec.layers if layer.attention] == expected


MISTAKES: dict[str, tuple[Any, str]] = {
    "no place": ({"module": "SE"}, "says no place; expected exactly one of at, inside, between"),
    "two places": ({"module": "SE", "at": 1, "inside": "C3"}, "says at and inside"),
    "no module": ({"at": 1}, "module is None, expected a mechanism such as CBAM"),
    "unknown": ({"module": "CBAMM", "at": 1}, "unknown attention mechanism 'CBAMM'; did you mean CBAM"),
    "a block": ({"module": "Conv", "at": 1}, "unknown attention mechanism 'Conv'"),
    "unknown key": ({"module": "SE", "at": 1, "kwargs": {}}, "unknown key kwargs; an entry has module"),
    "where": ({"module": "SE", "inside": "C3", "where": "first"}, "where is 'first'"),
    "where with at": ({"module": "SE", "at": 4, "where": "each"}, "where is 'each'; it goes with inside"),
    "args": ({"module": "SE", "at": 4, "args": [1]}, r"args is \[1\], expected options by name"),
    "identity": ({"module": "SE", "at": 4, "identity": "yes"}, "identity is 'yes'"),
    "repeat": ({"module": "SE", "at": 4, "repeat": 0}, "repeat is 0, expected an integer from 1 to 100"),
    "name": ({"module": "SE", "at": 4, "name": "a b"}, "name is 'a b', expected a plain word"),
    "name inside": ({"module": "SE", "inside": "C3", "name": "a"}, "attention inside a block has no name"),
    "name of the base": ({"module": "SE", "at": 4, "name": "stem"}, "the name 'stem' is taken"),
    "name for two": ({"module": "SE", "at": [4, 9], "name": "x"}, "the name 'x' is taken"),
    "nowhere": ({"module": "SE", "at": []}, r"at is \[\], expected row numbers or selectors"),
    "true": ({"module": "SE", "at": True}, "at is True"),
    "the head": ({"module": "SE", "at": 13}, r"layer 13 \(Detect\) is the head"),
    "inside the head": ({"module": "SE", "inside": 13}, r"layer 13 \(Detect\) has no inside; use at"),
    "between one": (
        {"module": "SE", "between": 4},
        r"between is 4, expected a layer and its reader, such as \[4, 12\]",
    ),
    "between three": ({"module": "SE", "between": [4, 5, 8]}, "expected a layer and its reader"),
    "between strangers": ({"module": "SE", "between": [4, 12]}, "layer 12 does not read layer 4; it reads 11"),
    "between many": ({"module": "SE", "between": ["C3", 12]}, "starts at a single layer, but C3 matches 4"),
    "between none": ({"module": "SE", "between": [4, []]}, "between is"),
    "an empty text": ("", "expected MECHANISM"),
    "no selector": ("SE@", "expected MECHANISM"),
    "an empty selector": ("SE@4,,5", "expected MECHANISM"),
    "twice at": ("SE@4@5", "expected MECHANISM"),
    "options twice": ("SE{reduction: 4}@4{reduction: 8}", "expected MECHANISM"),
    "options broken": ("SE{reduction: [}@4", "not valid YAML"),
    "a number": (5, "expected {module: CBAM, at: neck.P3}"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, small: dict[str, Any]) -> None:
    entry, expected = MISTAKES[name]
    small |= {"yaml_file": "mine.yaml", "attention": ["SE@1", entry]}
    with pytest.raises(SpecError, match=expected) as caught:
        read_spec(small)
    assert str(caught.value).startswith("mine.yaml attention[1] ")
    assert "\n" not in str(caught.value)


def test_lists_of_maps_take_no_attention() -> None:
    with pytest.raises(
        SpecError, match=r"layer 10 \(CBLinear\) returns a list of maps; place attention at a layer with"
    ):
        read_spec("ultralytics/yolov9e", ["SE@10"])


def test_readers_that_see_different_maps_cannot_share(small: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="these readers see different maps of layer 6 already; split them"):
        read_spec(small, ["SE@between:6,7", "CBAM@between:6,7,11"])


def test_the_total_is_bounded(small: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="more than 5000 mechanisms"):
        read_spec(small, [{"module": "SE", "at": "C3", "repeat": 100}] * 20)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("SE@4", {"module": "SE", "at": [4]}),
        ("SE @ neck.P3 , C3[-1]", {"module": "SE", "at": ["neck.P3", "C3[-1]"]}),
        ("SE@at:4", {"module": "SE", "at": [4]}),
        ("SE@inside:C3", {"module": "SE", "inside": ["C3"]}),
        ("SE@inside/last:C3,9", {"module": "SE", "inside": ["C3", 9], "where": "last"}),
        ("SE@between:6,11", {"module": "SE", "between": [6, 11]}),
        ("SE@between:6,7,11", {"module": "SE", "between": [6, [7, 11]]}),
        ("SE{reduction: 8}@4", {"module": "SE", "at": [4], "args": {"reduction": 8}}),
        ("SE@4{reduction: 8, identity: true}", {"module": "SE", "at": [4], "args": {"reduction": 8}, "identity": True}),
        ("SE@4{repeat: 2, name: x}", {"module": "SE", "at": [4], "repeat": 2, "name": "x"}),
    ],
)
def test_short_form(text: str, entry: dict[str, Any], small: dict[str, Any]) -> None:
    assert read_spec(small, [text]).yaml == read_spec(small, [entry]).yaml


def test_placements_in_one_string_are_told_apart():
    from models.spec.attention_entries import parse_text

    with pytest.raises(SpecError) as caught:
        parse_text("SE{reduction: 8}@4 CBAM@neck.P3", "--attention")
    assert str(caught.value) == (
        '--attention: 2 placements in one; give each in quotes of its own: "SE{reduction: 8}@4" "CBAM@neck.P3"'
    )


def test_quoted_placements_in_one_string_are_quoted_once():
    from models.spec.attention_entries import parse_text

    with pytest.raises(SpecError, match=r'its own: "CBAM@neck\.P3" "SE@9"$'):
        parse_text("CBAM@neck.P3 'SE@9'", "--attention")
