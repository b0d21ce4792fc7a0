"""Reading a study: what is accepted, and what each mistake is answered with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from models.errors import SpecError
from study.plan.study_spec import read_study


def test_a_study_is_read(write_spec: Callable[..., Path]) -> None:
    spec = read_study(write_spec(seeds=[3, 5], metrics="AP50"))
    assert spec.name == "tiny"
    assert [variant.name for variant in spec.variants] == ["baseline", "se", "sk"]
    assert [variant.identity for variant in spec.variants] == [None, None, True]
    assert spec.seeds == (3, 5)
    assert spec.metrics == ("AP50",)
    assert (spec.epochs, spec.minutes) == (2, None)


def test_a_grid_crosses_mechanisms_and_positions(write_spec: Callable[..., Path]) -> None:
    grid = {"mechanisms": ["SE", "CBAM{kernel_size: 3}"], "positions": {"p3": "neck.P3", "all": ["neck.P3", "neck.P4"]}}
    spec = read_study(write_spec(variants=None, controls=None, grid=grid, identity=True))
    found = {variant.name: variant.attention for variant in spec.variants[1:]}
    assert found == {
        "SE@p3": ("SE@neck.P3",),
        "SE@all": ("SE@neck.P3,neck.P4",),
        "CBAM-kernel-size-3@p3": ("CBAM{kernel_size: 3}@neck.P3",),
        "CBAM-kernel-size-3@all": ("CBAM{kernel_size: 3}@neck.P3,neck.P4",),
    }
    assert all(variant.identity for variant in spec.variants[1:])


def test_a_grid_can_cross_the_start_too(write_spec: Callable[..., Path]) -> None:
    grid = {"mechanisms": ["SE"], "positions": ["neck.P3"], "identity": [True, False]}
    spec = read_study(write_spec(variants=None, controls="all", grid=grid))
    assert {v.name: v.identity for v in spec.variants[1:]} == {
        "SE@neck.P3-identity": True,
        "SE@neck.P3-plain": False,
    }
    assert spec.controls == ("SE@neck.P3-identity", "SE@neck.P3-plain")


def test_a_variant_may_be_trained_with_flags_of_its_own(write_spec: Callable[..., Path]) -> None:
    spec = read_study(write_spec(variants={"fp32": {"train": {"amp": "off"}}}, controls=None))
    assert [dict(variant.train) for variant in spec.variants] == [{}, {"amp": "off"}]
    assert spec.variants[1].attention == ()


def test_what_places_nothing_is_the_baselines_model_and_has_no_control(write_spec: Callable[..., Path]) -> None:
    variants = {"se": "SE@neck.P3", "fp32": {"train": {"amp": "off"}}}
    spec = read_study(write_spec(variants=variants, controls="all", identity=True))
    assert spec.controls == ("se",)
    assert {variant.name: variant.identity for variant in spec.variants} == {"baseline": None, "se": True, "fp32": None}


def test_a_bare_off_means_what_it_says(write_spec: Callable[..., Path]) -> None:
    path = write_spec(train={"imgsz": 64, "rect": False})
    path.write_text(path.read_text().replace("rect: false", "rect: false\n  amp: off"))
    assert read_study(path).train == {"imgsz": 64, "rect": False, "amp": "off"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, r"unknown key 'seed'; did you mean seeds\?"),
        ({"data": None}, "key 'data' is missing"),
        ({"cfg": None}, "neither cfg nor weights is given"),
        ({"variants": None, "controls": None}, "0 variants, expected 1"),
        ({"variants": {"a/b": "SE@4"}, "controls": None}, r"variant 'a/b': expected letters"),
        ({"variants": {"sk~control": "SE@4"}, "controls": None}, "variant 'sk~control': expected letters"),
        ({"variants": {"baseline": "SE@4"}, "controls": None}, "'baseline' stands there twice"),
        ({"variants": {"se": "SE@4", "Se": "SE@9"}, "controls": None}, "variants Se, se differ in capitals alone"),
        ({"train": {"help": True}}, "train.help is set by the study"),
        ({"variants": {"se": {"attentoin": "SE@4"}}}, "variants.se: unknown key 'attentoin'"),
        ({"variants": {"se": {"identity": True}}}, "variants.se: differs in nothing from the baseline"),
        ({"variants": {"se": {"train": ["amp"]}}}, r"variants.se: train is \['amp'\], expected flags of train.py"),
        ({"variants": {"se": {"train": {"seed": 1}}}}, "variants.se: train.seed is set by the study"),
        ({"variants": {"se": {"train": {"amp": "fp8"}}}}, "variants.se: train: argument --amp"),
        ({"variants": {"se": {"train": {"img": 640}}}}, "variants.se: train.imgsz is that of all variants"),
        ({"variants": {"se": {"attention": "SE@4", "identity": "yes"}}}, "identity is 'yes', expected true or false"),
        ({"controls": ["cbam"]}, r"controls has 'cbam', which is no variant; there are se, sk"),
        ({"variants": {"x": {"train": {"amp": "off"}}}, "controls": ["x"]}, "controls has 'x', which has no attention"),
        ({"seeds": 0}, "seeds is 0, expected how many"),
        ({"seeds": [1, 1]}, "seeds is .*different whole numbers"),
        ({"budget": None}, r"budget is \{\}, expected"),
        ({"budget": {"epochs": 1, "minutes": 1}}, "budget is .*, expected"),
        ({"budget": {"epochs": 1.5}}, "budget.epochs is 1.5"),
        ({"train": {"epochs": 3}}, r"train.epochs is set by the study; budget: \{epochs: 20\}"),
        ({"train": {"plugin": "x.py"}}, "train.plugin is set by the study; the command line: --plugin FILE"),
        ({"train": {"weights": "x"}}, "train.weights is set by the study"),
        ({"train": {"imgsize": 64}}, r"train: unknown argument '--imgsize'"),
        ({"train": {"batch_size": 0}}, "train: argument --batch-size"),
        ({"metrics": ["mAP"]}, "metrics has 'mAP'; there are AP, AP50"),
        ({"evaluate": {"split": "train"}}, "evaluate.split is 'train'"),
        ({"grid": {"mechanism": ["SE"]}}, "grid is .*, expected mechanisms, positions, identity"),
        ({"name": "../x"}, r"name is '../x'"),
        ({"resamples": True}, "resamples is True"),
    ],
)
def test_mistakes_are_named(write_spec: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read_study(write_spec(**changes))
    assert "tiny.yaml: " in str(error.value)


def test_files_are_found_beside_the_spec(write_spec: Callable[..., Path]) -> None:
    path = write_spec(variants={"mine": "overlays/mine.yaml"}, controls=None, weights="overlays/w.pt")
    overlay = path.parent / "overlays" / "mine.yaml"
    overlay.parent.mkdir()
    overlay.write_text("base: yolov5n\nattention: [{module: SE, at: 4}]\n")
    (overlay.parent / "w.pt").touch()
    spec = read_study(path)
    assert spec.variants[1].cfg == str(overlay)
    assert spec.weights == str(overlay.parent / "w.pt")


def test_a_bare_name_is_a_file_beside_the_spec_if_there_is_one(write_spec: Callable[..., Path]) -> None:
    path = write_spec(weights="w.pt", data="mine.yaml")
    (path.parent / "w.pt").touch()
    (path.parent / "mine.yaml").touch()
    spec = read_study(path)
    assert spec.weights == str(path.parent / "w.pt")
    assert spec.data == str(path.parent / "mine.yaml")
    assert spec.cfg == "yolov5n"  # a name


@pytest.mark.parametrize("text", ["", "- a\n", "hello\n"])
def test_a_file_that_holds_no_study_is_told_what_one_holds(text: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=r"such as 'data: bccd', 'cfg: yolov5n' and 'variants: ") as caught:
        read_study(file)
    assert "backbone" not in str(caught.value)


def test_a_name_too_long_for_a_file_is_left_to_its_reader(write_spec: Callable[..., Path]) -> None:
    assert read_study(write_spec(data="é" * 200)).data == "é" * 200
