"""The data half of a pickle machine gives what pickle gives, for all that is data, in every protocol."""

import collections
import pickle
import pickletools
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import CheckpointError
from models.weights.plain_types import materialised
from models.weights.safe_pickle.allowlist import AllowedGlobals
from models.weights.safe_pickle.torch_file import open_torch_file
from models.weights.safe_pickle.unpickler import unpickle
from models.weights.safe_pickle.values import Global, Instance


def read(data: bytes, stand_ins: bool = True) -> Any:
    names = AllowedGlobals("x.pt", stand_ins)
    return unpickle("x.pt", data, names.find, names.call, lambda identity: ("outside", identity))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 200), 1 << 200)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
keys = st.text(max_size=8) | st.integers(-(1 << 62), 1 << 62) | st.tuples(st.text(max_size=3), st.integers(0, 9))
members = st.sets(st.integers(-(1 << 62), 1 << 62) | st.text(max_size=5), max_size=5)
values = st.recursive(
    scalars | members | members.map(frozenset),
    lambda inner: (
        st.lists(inner, max_size=6) | st.lists(inner, max_size=6).map(tuple) | st.dictionaries(keys, inner, max_size=6)
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(value=values, protocol=st.integers(0, 5))
def test_plain_data_in_every_protocol(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert read(data) == value
    assert read(pickletools.optimize(data), stand_ins=False) == value


def test_shared_and_recursive_data() -> None:
    inner: list[Any] = [1]
    inner.append(inner)
    found = read(pickle.dumps({"a": inner, "b": inner}, 2))
    assert found["a"] is found["b"]
    assert found["a"][1] is found["a"]


def test_containers_of_the_standard_library() -> None:
    default: collections.defaultdict[str, list[int]] = collections.defaultdict(list, {"a": [1]})
    value = [collections.OrderedDict(b=1, a=2), default, collections.Counter("aab")]
    for protocol in range(2, 6):
        assert read(pickle.dumps(value, protocol)) == [{"b": 1, "a": 2}, {"a": [1]}, {"a": 2, "b": 1}]
    assert [type(item) for item in read(pickle.dumps(value))] == [dict, dict, dict]


@pytest.mark.parametrize("number", [np.float32(0.1), np.float64(-2.5), np.int64(7), np.uint8(255), np.bool_(True)])
def test_numpy_numbers(number: Any) -> None:
    for protocol in (2, 4):
        found = read(pickle.dumps(number, protocol))
        assert found == number.item()
        assert type(found) is type(number.item())
    swapped = np.frombuffer(np.array(258, ">i4").tobytes(), ">i4")[0]
    assert read(pickle.dumps(swapped)) == 258


def test_values_of_torch() -> None:
    value = [torch.Size([1, 2]), torch.device("cuda", 1), torch.device("cpu"), torch.float16]
    size, cuda, cpu, half = read(pickle.dumps(value))
    assert (size, cuda) == ((1, 2), "cuda:1")
    assert cpu.startswith("cpu")
    assert isinstance(half, Global)
    assert str(half) == "torch.float16"


def test_classes_become_stand_ins() -> None:
    path, module = read(pickle.dumps([PurePosixPath("a/b"), torch.nn.ReLU()]))
    assert isinstance(path, Instance)
    assert path.args == ("a", "b")
    assert isinstance(module, Instance)
    assert str(module.cls) == "torch.nn.modules.activation.ReLU"
    assert module.state["inplace"] is False
    with pytest.raises(CheckpointError, match=r"x\.pt: the file asks for torch\.nn\.modules\.activation\.ReLU"):
        read(pickle.dumps(torch.nn.ReLU()), stand_ins=False)


def test_slots() -> None:
    """State as (attributes, slots), as pickle writes it for classes with slots."""
    data = b"\x80\x02cmodels.yolo\nA\n)\x81}X\x01\x00\x00\x00aK\x01s}X\x01\x00\x00\x00bK\x02s\x86b."
    assert read(data).state == {"a": 1, "b": 2}
    data = b"\x80\x02cmodels.yolo\nA\n)\x81N}X\x01\x00\x00\x00bK\x02s\x86b."
    assert read(data).state == {"b": 2}


@pytest.mark.parametrize(
    "data",
    [
        b".",
        b"\x80\x02",
        b"0.",
        b"1.",
        b"(.",
        b"\x85.",
        b"(\x85.",
        b"\x86.",
        b"t.",
        b"u.",
        b"N(NNu.",
        b"}(Nu.",
        b"]NK\x01s.",
        b"}Na.",
        b"}(Ne.",
        b"}(N\x90.",
        b"h\x07.",
        b"(q\x00.",
        b"}}Ns.",
        b"}]Ns.",
        b"K\x01K\x02\x93.",
        b"cos\n.",
        b"ccollections\nOrderedDict\n}R.",
        b"ccollections\nOrderedDict\nK\x01\x85R.",
        b"c__builtin__\nset\n]]a\x85R.",
        b"ctorch\nSize\nX\x01\x00\x00\x00a\x85R.",
        b"ctorch\ndevice\nK\x01\x85R.",
        b"c_codecs\nencode\nK\x01\x85R.",
        b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00rot\x86R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR.",
        b"ctorch._utils\n_rebuild_parameter\nK\x01\x85R.",
        b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85Rcnumpy.core.multiarray\nscalar\nh\x00R.",
        b"\xff.",
        b"",
    ],
)
def test_damage_is_one_error(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^x\.pt: (the pickle|the file asks)"):
        read(data)


def test_attributes_of_other_things_are_refused() -> None:
    with pytest.raises(CheckpointError, match="the pickle sets attributes on a list; refused"):
        read(b"]}b.")
    with pytest.raises(CheckpointError, match="the pickle calls a list, which is no class; refused"):
        read(b"])R.")
    with pytest.raises(CheckpointError, match=r"the file calls torch\.float16"):
        read(b"ctorch\nfloat16\n)R.")


def test_names_from_the_file_cannot_break_a_message() -> None:
    with pytest.raises(CheckpointError) as caught:
        read(b"\x80\x04" + b"\x8c\x04a\n\x1b[" + b"\x8c\x01b" + b"\x93.")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_tensors_with_attributes(tmp_path: Path) -> None:
    """A parameter with attributes of its own, and a tensor subclass of torch's, as torch saves them."""
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.note = 1  # type: ignore[attr-defined]
    buffer = torch.nn.Buffer(torch.arange(2.0))
    torch.save({"p": parameter, "b": buffer, "t": torch.arange(4)}, tmp_path / "a.pt")
    with open_torch_file(tmp_path / "a.pt", stand_ins=True) as file:
        content = materialised(file)
    assert content["p"].tolist() == [0, 1, 2]
    assert content["b"].tolist() == [0, 1]
    assert content["t"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint16, torch.float8_e4m3fn])
def test_element_types_that_are_not_supported(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save({"w": torch.zeros(4, dtype=dtype)}, tmp_path / "a.pt")
    with (
        pytest.raises(CheckpointError, match=r"a\.pt: (a \w+Storage is not supported|the file asks for torch)"),
        open_torch_file(tmp_path / "a.pt", stand_ins=True),
    ):
        pass


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool, torch.bfloat16])
def test_element_types(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.tensor([0, 1, 0, 1]).to(dtype)
    torch.save({"w": tensor}, tmp_path / "a.pt")
    with open_torch_file(tmp_path / "a.pt", stand_ins=True) as file:
        assert torch.equal(materialised(file)["w"], tensor)
