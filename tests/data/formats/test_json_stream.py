"""Streaming must see what json.load sees, wherever the window's edge falls."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import DataError
from data.formats import json_stream
from data.formats.json_stream import iter_members

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.text(max_size=4), values, max_size=4),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_same_as_json_load(tmp_path: Path, content: dict, chunk: int, ascii_only: bool, indent: int | None) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(content, ensure_ascii=ascii_only, indent=indent), encoding="utf-8", newline="")
    seen: dict[str, list] = defaultdict(list)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        for key, value in iter_members(file):
            seen[key].append(value)
    expected: dict[str, Any] = {
        key: value if isinstance(value, list) else [value] for key, value in content.items() if value != []
    }
    assert seen == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "1",
        "{",
        '{"a"',
        '{"a":',
        '{"a": [1, 2',
        '{"a": [1 2]}',
        '{"a": 1 "b": 2}',
        "{a: 1}",
        '{"a": tru}',
        "{1: 2}",
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.json: character \d+: "):
        list(iter_members(file))


def test_a_deep_or_endless_element_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"a": [' + "[" * 200_000, encoding="utf-8")
    with pytest.raises(DataError, match="nested too deeply"):
        list(iter_members(file))
    monkeypatch.setattr(json_stream, "_MAX_VALUE", 1000)
    file.write_text('{"a": ["' + "x" * 3_000_000, encoding="utf-8")
    with pytest.raises(DataError, match="one element over"):
        list(iter_members(file))


def test_memory_stays_at_the_window(tmp_path: Path) -> None:
    import tracemalloc

    file = tmp_path / "x.json"
    element = json.dumps({"counts": "x" * 1000})
    file.write_text('{"annotations": [' + ",".join([element] * 20_000) + "]}", encoding="utf-8")
    assert file.stat().st_size > 20_000_000
    tracemalloc.start()
    count = sum(1 for _ in iter_members(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 10_000_000
