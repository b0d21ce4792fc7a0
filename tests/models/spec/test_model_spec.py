"""What stands around the rows: classes, scales, anchors, misspelt keys; and the time that reading takes."""

import json
import time
from typing import Any

import pytest

from models import SpecError, read_spec

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no backbone": ({"backbone": None}, "backbone is None, expected a list of rows"),
    "empty head": ({"head": []}, r"head is \[\], expected a list of rows"),
    "nc": ({"nc": 0}, "nc is 0, expected an integer from 1"),
    "nc as text": ({"nc": "three"}, "nc is 'three'"),
    "nc is true": ({"nc": True}, "nc is True"),
    "nc huge": ({"nc": 10**9}, "nc is 1000000000"),
    "names": ({"names": ["a", "b"]}, "nc is 3, but 2 names are given"),
    "names as text": ({"names": "abc"}, "names is abc, expected a list"),
    "ch": ({"ch": -1}, "ch is -1"),
    "scales": ({"scales": [1, 2]}, r"scales is \[1, 2\], expected a mapping"),
    "scale": ({"scales": {"n": [1, 1]}, "scale": "q"}, "scale is 'q'; there are n"),
    "scale as list": ({"scales": {"n": [1, 1]}, "scale": ["n"]}, r"scale is \['n'\], expected a letter"),
    "scale of one": ({"scales": {"n": [1]}}, r"scales.n is \[1\], expected \[depth, width\]"),
    "width": ({"width_multiple": 0}, "width_multiple is 0, expected a number above 0"),
    "width infinite": ({"width_multiple": float("inf")}, "width_multiple is inf"),
    "depth not a number": ({"depth_multiple": float("nan")}, "depth_multiple is nan"),
    "width huge": ({"width_multiple": 100, "backbone": [[-1, 1, "Conv", [65536]]]}, "65536 channels are 6553600 after"),
    "anchors odd": ({"anchors": [[1, 2, 3], [4, 5, 6]]}, "same even number of positive values"),
    "anchors ragged": ({"anchors": [[1, 2], [3, 4, 5, 6]]}, "same even number"),
    "anchors negative": ({"anchors": [[1, -2], [3, 4]]}, "same even number of positive"),
    "anchors as text": ({"anchors": "yes"}, "anchors is yes, expected a list"),
    "anchors missing": ({"anchors": None}, "the head asks for anchors, but the file has no 'anchors'"),
    "anchors for three": ({"anchors": [[1, 2]] * 3}, "reads 2 maps, but there are anchors for 3 levels"),
    "activation": ({"activation": 5}, "activation is 5, expected a name"),
    "identity": ({"identity": "yes"}, "identity is 'yes', expected true or false"),
    "misspelt": ({"widht_multiple": 0.5}, "unknown key 'widht_multiple'; did you mean width_multiple"),
    "neck": ({"neck": [[-1, 1, "Conv", [8]]]}, "rows in 'neck' are not read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, small: dict[str, Any]) -> None:
    words, expected = MISTAKES[name]
    with pytest.raises(SpecError, match=expected) as caught:
        read_spec({**small, **words, "yaml_file": "mine.yaml"})
    assert str(caught.value).startswith("mine.yaml")
    assert "\n" not in str(caught.value)


def test_missing_sections(small: dict[str, Any]) -> None:
    del small["head"]
    with pytest.raises(SpecError, match="has no 'head'; a model YAML has backbone and head, an overlay has base"):
        read_spec(small)


def test_arguments_win_over_the_file(small: dict[str, Any]) -> None:
    spec = read_spec({**small, "names": ["a", "b", "c"]}, nc=7, ch=1)
    assert (spec.nc, spec.ch, spec.head.args[0]) == (7, 1, 7)
    assert spec.layer("0").call.args[0] == 1
    assert "names" not in spec.yaml


def test_anchors_in_the_heads_row(small: dict[str, Any]) -> None:
    small["head"][-1][3] = ["nc", [[1, 2], [3, 4]]]
    assert read_spec(small).anchors == ((1.0, 2.0), (3.0, 4.0))


def test_a_number_of_anchors_means_placeholders(small: dict[str, Any]) -> None:
    anchors = read_spec({**small, "anchors": 3}).anchors
    assert [len(level) for level in anchors] == [6, 6]
    assert min(min(level) for level in anchors) > 0
    assert sum(anchors[0]) < sum(anchors[1])


def test_anchor_free_dialect(small: dict[str, Any]) -> None:
    small["head"][-1][3] = ["nc"]
    del small["anchors"]
    spec = read_spec(small)
    assert spec.anchors is None
    assert not spec.has_anchors


def test_first_scale_is_the_default(small: dict[str, Any]) -> None:
    small["scales"] = {"s": [1.0, 0.5], "n": [1.0, 1.0]}
    assert read_spec(small).scale.letter == "s"
    assert read_spec({**small, "scale": "n"}).layer("0").channels == 8


def test_description_is_a_copy(small: dict[str, Any]) -> None:
    spec = read_spec(small)
    small["backbone"][4] = [-1, 1, "SE", []]
    assert spec.yaml["backbone"][4] == [-1, 1, "C3", [16]]


def test_description_is_of_plain_types(small: dict[str, Any]) -> None:
    spec = read_spec(small, ["SE@4", {"module": "CBAM", "inside": "C3", "args": {"kernel_size": 3}}])
    assert json.loads(json.dumps(spec.yaml)) == spec.yaml


@pytest.mark.parametrize("name", ["yolov5n", "yolov5x6", "ultralytics/yolov9e", "ultralytics/yolo12x"])
def test_reading_is_quick(name: str) -> None:
    """10 ms on a free machine; the best of some runs, ten times as many allowed for a busy one."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        read_spec(name, ["CBAM@neck.P3,neck.P4,neck.P5"])
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
