"""Exported models of strangers: programs need a knowing choice, and ONNX files stay within themselves."""

import io
import zipfile

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from engine import trusted_files
from engine.cli.detect_flags import detect_parser
from engine.cli.train_flags import train_parser
from engine.cli.val_flags import val_parser
from engine.errors import UsageError
from engine.model_loading import load_weights

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(tmp_path / "cache"))


def options(*argv):
    return val_parser().parse_args(list(argv))


class Writer(torch.nn.Module):
    """A program that writes a file as soon as it is loaded."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x):
        return x

    @torch.jit.export
    def __getstate__(self):
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]):
        self.path = state[0]
        self.training = state[1]
        torch.ops.aten.save(torch.zeros(1), self.path)  # torch.save may be ultralytics' here


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "model.torchscript"
    torch.jit.script(Writer(str(tmp_path / "canary"))).save(str(file))
    assert not (tmp_path / "canary").exists()
    return file


def test_a_torchscript_file_does_write_when_loaded(program, tmp_path):
    torch.jit.load(str(program))
    assert (tmp_path / "canary").exists()


def test_a_strangers_program_is_not_loaded(program, tmp_path):
    with pytest.raises(UsageError, match=r"is a program that loading would run.*add --trust"):
        load_weights(str(program), options())
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(UsageError, match="is a program"):
        load_weights(str(engine), options())
    assert not (tmp_path / "canary").exists()


def test_the_users_choice_and_what_was_written_here(program):
    assert load_weights(str(program), options("--trust")) == str(program)
    trusted_files.remember(program)
    assert load_weights(str(program), options()) == str(program)
    program.write_bytes(program.read_bytes() + b"\0")
    with pytest.raises(UsageError, match="is a program"):
        load_weights(str(program), options())


def test_who_has_the_flag():
    assert detect_parser().parse_args(["--trust"]).trust
    with pytest.raises(UsageError, match="unknown argument '--trust'"):
        train_parser().parse_args(["--trust"])


def graph(external=None, nested=False):
    """A model that adds a tensor; with its values in another file, at the top or in a branch of an If."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    if external:
        weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        weight.external_data.add(key="location", value=external)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    inner = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [] if nested else [x], [y], [weight])
    if not nested:
        return helper.make_model(inner)
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    branch = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    return helper.make_model(helper.make_graph([branch], "outer", [x], [y], [flag]))


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "beside.bin", "a" * 5000])
@pytest.mark.parametrize("nested", [False, True])
def test_an_onnx_file_takes_nothing_from_other_files(place, nested, tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(graph(place, nested).SerializeToString())
    with pytest.raises(UsageError, match="takes tensors from another file") as error:
        load_weights(str(file), options())
    assert len(str(error.value)) < 300 + len(str(file))


def test_good_and_damaged_onnx_files(tmp_path):
    file = tmp_path / "model.onnx"
    onnx.save(graph(), file)
    assert load_weights(str(file), options()) == str(file)
    for content in (b"hello", b"", file.read_bytes()[:-7]):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="is no readable ONNX file"):
            load_weights(str(file), options())


def test_a_checkpoint_is_no_program_by_its_name(tmp_path):
    """A TorchScript archive called .pt goes to the reader of checkpoints, which runs nothing."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02cos\nsystem\n.")
        archive.writestr("a/code/x.py", "")
    (tmp_path / "model.pt").write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match=r"model\.pt"):
        load_weights(str(tmp_path / "model.pt"), options())
