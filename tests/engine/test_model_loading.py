"""Weights with attention placed on top; what becomes of tensors; mechanisms of one's own in checkpoints."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from attention import ATTENTION
from engine.cli.detect_flags import detect_parser
from engine.cli.export_flags import export_parser
from engine.cli.train_flags import train_parser
from engine.cli.val_flags import val_parser
from engine.errors import UsageError
from engine.model_loading import load_plugins, load_weights, start_model
from engine.runtime.log import LOGGER
from engine.training import run as training
from engine.training.resume import continue_run
from models import Detector, SpecError, build_model, read_spec
from models.errors import CheckpointError
from models.weights.checkpoint import save_checkpoint

INFO = {"nc": 2, "names": {0: "cat", 1: "dog"}}
PLUGIN = '''
import torch
from attention.registry import ATTENTION


@ATTENTION.register("MyOwn")
class MyOwn(torch.nn.Module):
    """Scale every channel."""

    def __init__(self, channels, start=0.5):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x):
        return x * self.scale
'''


def save(detector: Detector, path: Path, **more: object) -> Path:
    content = {"spec": detector.spec.yaml, "names": detector.names, "stride": detector.stride.tolist()}
    save_checkpoint(path, {**content, "weights": detector.state_dict(), "hyp": detector.hyp, "provenance": {}, **more})
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Detector]:
    detector = build_model("yolov5n", nc=2, names=INFO["names"], hyp={"box": 0.07}).eval()
    return save(detector, tmp_path_factory.mktemp("weights") / "base.pt"), detector


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "my_attention.py"
    path.write_text(PLUGIN)
    yield path
    ATTENTION._entries.pop("MyOwn", None)


def decoded(model: Detector) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))[0]


@pytest.mark.parametrize(
    ("parser", "flags"),
    [
        (val_parser, ["--attention", "CBAM@neck.P3", "SE@inside:4"]),
        (detect_parser, ["--attention", "SE@between:4,16"]),
        (export_parser, ["--cfg", "yolov5n-cbam-identity"]),
    ],
)
def test_attention_is_placed_on_weights_that_stay(parser, flags, base):
    path, detector = base
    model = load_weights(path, parser().parse_args([*flags, "--identity"]))
    assert model.attention_names()
    assert model.names == detector.names
    assert model.hyp["box"] == 0.07
    assert torch.equal(decoded(model), decoded(detector))


def test_attention_that_is_no_identity_changes_the_boxes(base):
    path, detector = base
    model = load_weights(path, val_parser().parse_args(["--attention", "SE@neck.P3"]))
    assert not torch.equal(decoded(model), decoded(detector))


def test_trained_attention_stays_what_it_is(tmp_path):
    """Placed, and a row by hand: neither becomes an identity, which would lose its weights."""
    description = dict(read_spec("yolov5n", ["SE@4"], nc=2).yaml)
    description["head"] = [*description["head"][:-1], [-1, 1, "ECA", []], [[17, 20, 24], *description["head"][-1][1:]]]
    trained = build_model(description)
    path = save(trained, tmp_path / "trained.pt")
    model = load_weights(path, val_parser().parse_args(["--attention", "CBAM@9", "--identity"]))
    assert torch.equal(decoded(model), decoded(trained))
    assert [layer.attention.identity for layer in model.spec.layers if layer.attention] == [False, True, False]


@pytest.mark.parametrize(
    ("flags", "weights", "expected"),
    [
        (["--identity"], "base", "--identity says how .* none is placed: add --attention"),
        (["--attention", "SE@4"], "model.onnx", "place on a checkpoint"),
        (["--cfg", "yolov5n"], "folder_openvino_model/", "place on a checkpoint"),
        (["--cfg", "yolov5s"], "base", r"are not in it, first model\.0\.conv\.weight \(shape"),
        (["--cfg", "yolov7-tiny"], "base", "train that model first"),
    ],
)
def test_what_cannot_be_placed(flags, weights, expected, base):
    with pytest.raises(UsageError, match=expected):
        load_weights(base[0] if weights == "base" else weights, val_parser().parse_args(flags))


def test_a_model_in_memory_takes_no_flags(base):
    assert load_weights(base[1], val_parser().parse_args([])) is base[1]
    with pytest.raises(UsageError, match="place on a checkpoint"):
        load_weights(base[1], val_parser().parse_args(["--attention", "SE@4"]))


@pytest.mark.parametrize("flags", [[], ["--cfg", "yolov5n"]])
def test_training_does_not_ignore_an_identity_start_of_nothing(flags, base):
    options = train_parser().parse_args(["--weights", str(base[0]), "--identity", *flags])
    with pytest.raises(UsageError, match=r"--identity says how .* none is placed: add --attention"):
        start_model(options, INFO)


def test_a_checkpoints_own_attention_is_nothing_to_start_as_the_identity(tmp_path):
    attended = save(build_model("yolov5n", attention=["SE@4"], nc=2), tmp_path / "attended.pt")
    for flags in ([], ["--cfg", str(attended)]):
        options = train_parser().parse_args(["--weights", str(attended), "--identity", *flags])
        with pytest.raises(UsageError, match="none is placed"):
            start_model(options, INFO)
    options = train_parser().parse_args(["--weights", "", "--cfg", "yolov5n-cbam", "--identity"])
    assert all(layer.attention.identity for layer in start_model(options, INFO).spec.layers if layer.attention)


def test_the_transfer_report_is_a_file(base, tmp_path):
    report = tmp_path / "report.json"
    flags = ["--weights", str(base[0]), "--attention", "SE@4", "--strict-transfer", "--transfer-report", str(report)]
    model = start_model(train_parser().parse_args(flags), INFO)
    content = json.loads(report.read_text())
    assert sorted(content["transferred"]) == sorted(base[1].state_dict())
    assert content["new"] == [name for name in model.state_dict() if "+SE" in name]
    assert content["complete"] is True
    assert set(content["reasons"]) == set(content["new"])


def test_a_transfer_report_that_cannot_be_written(base, tmp_path):
    flags = ["--weights", str(base[0]), "--transfer-report", str(tmp_path / "no" / "report.json")]
    with pytest.raises(UsageError, match=r"--transfer-report .*report\.json: cannot be written"):
        start_model(train_parser().parse_args(flags), INFO)
    with pytest.raises(UsageError, match="--transfer-report says what is taken over"):
        start_model(train_parser().parse_args(["--cfg", "yolov5n", "--transfer-report", "report.json"]), INFO)


def test_a_plugin_in_a_checkpoint_is_asked_for(plugin, tmp_path):
    load_plugins(val_parser().parse_args(["--plugin", str(plugin)]))
    path = save(build_model("yolov5n", nc=2, attention=["MyOwn@4"]), tmp_path / "own.pt")
    ATTENTION._entries.pop("MyOwn")
    with pytest.raises(CheckpointError, match=r"own\.pt: .*'MyOwn'.*--plugin FILE"):
        load_weights(path, val_parser().parse_args([]))
    again = tmp_path / "moved.py"
    again.write_text(PLUGIN)
    model = load_weights(path, val_parser().parse_args(["--plugin", str(again)]))
    assert float(model.state_dict()["model.4+MyOwn.scale"].mean()) == 0.5


def test_flags_that_a_continued_run_does_not_take_are_named(tmp_path, caplog):
    saved = vars(train_parser().parse_args(["--epochs", "9", "--workers", "4"]))
    (tmp_path / "weights").mkdir()
    run = {"epoch": 0, "epochs": 9, "stopped": False, "options": saved}
    path = save(build_model("yolov5n", nc=2), tmp_path / "weights" / "last.pt", training=run)
    LOGGER.addHandler(caplog.handler)
    try:
        argv = ["--resume", str(path), "--epochs", "9", "--batch-size", "8", "--cos-lr", "--workers", "2"]
        asked = train_parser().parse_args(argv)
        asked.demo = False  # as the command line adds it
        options, _, _ = continue_run(asked)
    finally:
        LOGGER.removeHandler(caplog.handler)
    assert (options.epochs, options.batch_size, options.cos_lr, options.workers) == (9, 16, False, 2)
    assert "own flags: --batch-size, --cos-lr ignored" in caplog.text


def test_a_plugin_of_a_run_is_asked_for(plugin, tmp_path):
    options = vars(train_parser().parse_args(["--plugin", str(plugin)]))
    run = {"epoch": 0, "epochs": 2, "stopped": False, "options": options}
    (tmp_path / "weights").mkdir()
    path = save(build_model("yolov5n", nc=2), tmp_path / "weights" / "last.pt", training=run)
    with pytest.raises(UsageError, match=rf"uses mechanisms of your own; add --plugin {plugin}"):
        training.run_training(train_parser().parse_args(["--resume", str(path)]))
    with pytest.raises(SpecError, match=r"nowhere\.py: no such Python file"):
        training.run_training(
            train_parser().parse_args(["--resume", str(path), "--plugin", str(tmp_path / "nowhere.py")])
        )


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    LOGGER.addHandler(caplog.handler)
    yield caplog
    LOGGER.removeHandler(caplog.handler)


def yolov5n_with(block: str, path: Path) -> Path:
    """Write yolov5n with another block in the place of its eight C3."""
    text = (Path(__file__).parents[2] / "cfg" / "yolov5" / "yolov5.yaml").read_text()
    scale = "depth_multiple: 0.33\nwidth_multiple: 0.25\nother:"
    path.write_text(text.replace(" C3, [", f" {block}, [").replace("scales:", scale))
    return path


@pytest.mark.parametrize(("most", "last"), [(10, "row 23"), (3, "… and 5 more: python -m models.spec ")])
def test_training_says_what_rows_of_a_fork_were_understood_as(most, last, tmp_path, logged, monkeypatch):
    path = yolov5n_with("C3CBAM", tmp_path / "fork.yaml")
    monkeypatch.setattr("engine.model_loading.MOST_NOTES", most)
    start_model(train_parser().parse_args(["--cfg", str(path), "--weights", ""]), INFO)
    said = [line for line in logged.messages if "fork.yaml" in line]
    assert len(said) == min(most + 1, 8)
    assert all("C3CBAM is built as C3 with" in line for line in said[:most])
    assert said[0].startswith("note: ")
    assert "row 2" in said[0]
    assert last in said[-1]


@pytest.mark.parametrize("parser", [val_parser, detect_parser, export_parser])
def test_other_commands_say_it_too(parser, tmp_path, logged):
    path = yolov5n_with("C3SE", tmp_path / "fork.yaml")
    weights = save(build_model(str(path), nc=2), tmp_path / "fork.pt")
    load_weights(weights, parser().parse_args(["--cfg", str(path)]))
    assert sum("C3SE is built as C3 with" in line for line in logged.messages) == 8


def test_nothing_is_said_of_our_own_attention(base, tmp_path, logged):
    path = yolov5n_with("C3", tmp_path / "plain.yaml")
    flags = ["--cfg", str(path), "--attention", "CBAM@neck.P3", "ECA{dialect: forks}@4"]
    start_model(train_parser().parse_args([*flags, "--weights", ""]), INFO)
    start_model(train_parser().parse_args(["--cfg", str(base[0]), "--weights", ""]), INFO)
    assert not [line for line in logged.messages if line.startswith("note: ")]
