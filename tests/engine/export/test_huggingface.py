"""The folder for the Hugging Face hub: it holds the checkpoint, tells no paths, and gives the same boxes."""

import json

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

import engine
from data.digits import make_image
from engine.cli.main import main
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.export.model_card import verdicts
from models import build_model, load_model
from models.weights.checkpoint import save_checkpoint

REPORT = """# Study: mine

3 models × 2 seeds.

- **se: no detectable effect.** AP differs by +0.8 points.

## Verdict

| variant | verdict |
|---|---|
| se | no detectable effect |

## Every comparison

| more | numbers |
"""


def export(folder, *argv, weights=DIGITS_WEIGHTS):
    return main("export", ["--weights", str(weights), "--output", str(folder), "--include", "huggingface", *argv])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("hub")
    (out / "study").mkdir()
    (out / "study" / "report.md").write_text(REPORT)
    assert export(out, "--study", str(out / "study")) == 0
    return out / f"{DIGITS_WEIGHTS.stem}-huggingface"


def test_the_folder_gives_the_boxes_of_the_checkpoint(folder):
    image, _, _ = make_image("test", np.random.default_rng(0))
    options = {"backend": "torch", "imgsz": 160, "device": "cpu"}
    found = [next(engine.detect(weights, image, **options)).boxes.data for weights in (DIGITS_WEIGHTS, folder)]
    assert len(found[0]) > 3
    assert torch.equal(*found)
    assert torch.equal(
        *(model.state_dict()["model.0.conv.weight"] for model in map(load_model, (DIGITS_WEIGHTS, folder)))
    )


def test_others_can_read_it(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"]["7"] == "7"
    assert config["image_size"] == 320
    assert config["stride"] == [8, 16, 32]
    with safe_open(folder / "model.safetensors", framework="np") as file:
        assert sum(file.get_tensor(key).size for key in file.keys() if "num_batches" not in key) > config["parameters"]
    front = (folder / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert yaml.safe_load(front) == {
        "library_name": "yolo-attention",
        "pipeline_tag": "object-detection",
        "license": "agpl-3.0",
        "tags": ["object-detection", "yolo", "attention"],
    }


def test_the_card_tells_figures_and_the_studys_verdicts_but_no_more(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| AP (mAP50-95) | 0.8680 |" in card
    assert "- **se: no detectable effect.** AP differs by +0.8 points." in card
    assert "| se | no detectable effect |" in card
    assert "more | numbers" not in card
    assert verdicts(REPORT).startswith("### The study that it comes from\n\n3 models × 2 seeds.")


@pytest.mark.parametrize(
    ("data", "metrics"),
    [
        ("/home/me/x.yaml", {"metrics/mAP50(B)": "high"}),
        ("C:\\home\\me\\x.yaml", [1]),
        ("x.yaml", {"metrics/mAP50(B)": 0.5}),
    ],
)
def test_neither_paths_nor_commands_are_told(data, metrics, tmp_path):
    model = build_model(
        "yolov5n", nc=1, attention=["SE@neck.P3", "ECA{identity: true}@inside/last:neck.P4", "SimAM{repeat: 2}@neck.P5"]
    )
    content = {"spec": model.spec.yaml, "names": {0: "a|b\nc"}, "stride": [8.0, 16.0, 32.0], "hyp": model.hyp}
    content |= {"weights": model.state_dict(), "provenance": {"command": "train.py --data /home/me/x.yaml"}}
    content["provenance"] |= {"data": data, "metrics": metrics, "date": torch.zeros(2)}
    save_checkpoint(tmp_path / "mine.pt", content)
    assert export(tmp_path, weights=tmp_path / "mine.pt") == 0
    folder = tmp_path / "mine-huggingface"
    for path in folder.iterdir():
        assert b"home" not in path.read_bytes(), path
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "a\\|b c" in card
    assert "| data | x.yaml |" in card
    assert "| attention | SqueezeExcitation at " in card or "| attention | SE at " in card
    assert "ECA at model.20.cv3.attention (identity start)" in card
    assert "2 × SimAM at model.23+SimAM" in card
    assert ("| AP50 | 0.5000 |" in card) == (metrics == {"metrics/mAP50(B)": 0.5})


def test_a_folder_that_is_there_and_a_study_that_is_none_are_refused(folder, tmp_path, capsys):
    assert export(folder.parent) == 2
    assert "exists already; move it away" in capsys.readouterr().err
    assert export(tmp_path, "--study", str(tmp_path)) == 2
    assert "has no readable report.md" in capsys.readouterr().err
    assert main("export", ["--weights", str(DIGITS_WEIGHTS), "--include", "onnx", "--study", str(tmp_path)]) == 2
    assert "--study: is told in the model card" in capsys.readouterr().err
    assert not list(tmp_path.glob("*huggingface"))
