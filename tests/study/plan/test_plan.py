"""Plans: models, commands, addresses, and the split that measures."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from data import load_dataset
from engine.cli.train_flags import train_parser
from engine.errors import UsageError
from models import SpecError, build_model, read_spec
from study.plan.plan import Plan, address_runs, make_plan, remembered_epochs
from study.plan.split_val import halve_validation
from study.plan.study_spec import read_study

SPEC = {
    "variants": {"se": "SE@neck.P3", "sk": {"attention": "SKAttention@neck.P3", "identity": True}},
}


def keys(plan: Plan) -> dict[tuple[str, int], str]:
    return {(run.variant, run.seed): run.key for run in plan.runs}


def test_runs_go_seed_by_seed_and_say_what_train_py_takes(make: Callable[..., Plan]) -> None:
    plan = make(seeds=2)
    names = ["baseline", "se", "sk", "sk~control"]
    assert [(run.variant, run.seed) for run in plan.runs] == [(name, seed) for seed in (0, 1) for name in names]
    run = plan.runs[5]
    options = train_parser().parse_args(list(run.argv))
    assert (options.seed, options.epochs, options.imgsz, options.batch_size) == (1, 2, 64, 4)
    assert (options.weights, options.patience, options.noplots) == ("", 0, True)
    assert read_spec(options.cfg).yaml == plan.models["se"].yaml
    assert len({run.folder for run in plan.runs}) == len(plan.runs)


def test_variants_differ_from_the_baseline_in_attention_alone(make: Callable[..., Plan]) -> None:
    plan = make()
    base, se, control = (dict(plan.models[name].yaml) for name in ("baseline", "se", "sk~control"))
    assert [entry["module"] for entry in se.pop("attention")] == ["SE"]
    assert [entry["module"] for entry in control.pop("attention")] == ["PlainConv"]
    for model in (base, se, control):
        model.pop("name")
        model.pop("identity", None)  # the entries say it
    assert base == se == control


def test_variants_of_one_seed_start_from_the_same_values(make: Callable[..., Plan]) -> None:
    models = make().models
    states = {name: build_model(model.yaml, seed=3).state_dict() for name, model in models.items()}
    base = states.pop("baseline")
    for name, state in states.items():
        assert base.keys() < state.keys(), name
        assert all(torch.equal(state[key], value) for key, value in base.items()), name
    other = build_model(models["baseline"].yaml, seed=4).state_dict()
    assert not torch.equal(other["model.0.conv.weight"], base["model.0.conv.weight"])


def test_a_size_is_rounded_up_once_and_said(make: Callable[..., Plan], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    plan = make(train={"imgsz": 400, "batch_size": 4})
    assert plan.spec.train["imgsz"] == 416
    assert {train_parser().parse_args(list(run.argv)).imgsz for run in plan.runs} == {416}
    said = [text for text in caplog.messages if "400" in text]
    assert len(said) == 1
    assert said[0].endswith("imgsz 400: taken as 416, a multiple of 32")


def test_an_address_changes_when_and_only_when_the_run_does(make: Callable[..., Plan], tiny_data: Path) -> None:
    plain = partial(make, controls=None)
    before = keys(plain())
    more = keys(plain(seeds=4, metrics=["AP50"], images=0))
    assert {key: more[key] for key in before} == before  # another seed or metric leaves the others alone
    changed = keys(plain(variants={**SPEC["variants"], "se": "SE@neck.P4"}))
    assert {name for name, seed in before if changed[name, seed] != before[name, seed]} == {"se"}
    for change in ({"train": {"imgsz": 96, "batch_size": 4}}, {"budget": {"epochs": 3}}, {"cfg": "yolov5s"}):
        assert not set(keys(plain(**change)).values()) & set(before.values())
    labels = tiny_data.parent / "labels" / "train" / "train0.txt"
    text = labels.read_text()
    try:
        labels.write_text("0 0.5 0.5 0.5 0.5\n")
        assert not set(keys(plain()).values()) & set(before.values())
    finally:
        labels.write_text(text)
    image = tiny_data.parent / "images" / "train" / "train0.png"
    content = image.read_bytes()
    try:
        image.write_bytes(content + b" ")
        assert not set(keys(plain()).values()) & set(before.values())
    finally:
        image.write_bytes(content)
    assert keys(plain()) == before


def test_a_variant_and_its_control_are_trained_with_the_variants_flags(make: Callable[..., Plan]) -> None:
    before = keys(make())
    attended = {**SPEC["variants"], "sk": {**SPEC["variants"]["sk"], "train": {"attention_lr": 5}}}
    plan = make(variants={**attended, "fp32": {"train": {"amp": "off"}}})
    options = {run.variant: train_parser().parse_args(list(run.argv)) for run in plan.runs}
    assert {name: (o.amp, o.attention_lr, o.batch_size) for name, o in options.items()} == {
        "baseline": ("auto", 1, 4),
        "se": ("auto", 1, 4),
        "sk": ("auto", 5, 4),
        "sk~control": ("auto", 5, 4),
        "fp32": ("off", 1, 4),
    }
    after = keys(plan)
    assert {name for (name, seed), key in before.items() if after[name, seed] != key} == {"sk", "sk~control"}
    bare, base = dict(plan.models["fp32"].yaml), dict(plan.models["baseline"].yaml)
    assert (bare.pop("name"), base.pop("name")) == ("fp32", "baseline")
    assert bare == base


def test_a_plugins_content_is_part_of_a_runs_address(
    write_spec: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr("study.plan.plan.load_plugin", loaded.append)
    file = tmp_path / "mine.py"
    spec = read_study(write_spec(controls=None))
    found = []
    for text in ("a = 1", "a = 1", "a = 2"):
        file.write_text(text)
        plan = make_plan(spec, tmp_path / "runs", plugins=[file])
        address_runs(plan, dict.fromkeys(plan.models, 2))
        found.append(keys(plan))
    assert loaded == [file] * 3
    assert found[0] == found[1]
    assert not set(found[0].values()) & set(found[2].values())
    assert train_parser().parse_args(list(plan.runs[0].argv)).plugin == [str(file)]


def test_with_all_a_variant_without_a_control_is_noted(make: Callable[..., Plan]) -> None:
    variants = {"eca": "ECA@neck.P3", "sk": "SKAttention@neck.P3"}
    plan = make(variants=variants, controls="all")
    assert list(plan.models) == ["baseline", "eca", "sk", "sk~control"]
    assert any("no control for 'eca': ECA at 64 channels" in warning for warning in plan.warnings)
    with pytest.raises(UsageError, match=r"\.yaml: no control for 'eca'"):
        make(variants=variants, controls=["eca"])


def test_an_unknown_mechanism_is_named_with_file_and_variant(make: Callable[..., Plan]) -> None:
    with pytest.raises(SpecError, match=r"\.yaml: variants\.a: .*unknown attention mechanism 'Foo7'.* lists them \("):
        make(variants={"a": "Foo7@neck.P3"}, controls=None)


def test_images_that_measure_do_not_change_the_training(make: Callable[..., Plan], tiny_data: Path) -> None:
    before = make().runs[0]
    labels = tiny_data.parent / "labels" / "test" / "test0.txt"
    text = labels.read_text()
    try:
        labels.write_text("0 0.5 0.5 0.5 0.5\n")
        after = make().runs[0]
    finally:
        labels.write_text(text)
    assert after.key == before.key
    assert after.eval_key != before.eval_key


def test_without_a_test_split_val_is_halved(
    make: Callable[..., Plan], write_spec: Callable[..., Path], tiny_data: Path, tmp_path: Path
) -> None:
    content = yaml.safe_load(tiny_data.read_text())
    content.pop("test")
    (tmp_path / "no-test.yaml").write_text(yaml.safe_dump(content))
    assert not make_plan(read_study(write_spec(data=str(tmp_path / "no-test.yaml"))), tmp_path / "dry").folder.exists()
    plan = make(data=str(tmp_path / "no-test.yaml"))
    assert plan.sizes == {"train": 6, "val": 3, "test": 3}
    assert plan.warnings[0].startswith("There is no test split, so val was halved")
    halved = load_dataset(plan.data)
    names = {split: {record.path.name for record in halved[split]} for split in ("val", "test")}
    assert names["val"] | names["test"] == {f"val{number}.png" for number in range(6)}
    assert not names["val"] & names["test"]
    original = {r.path.name: r.boxes_xyxy.tolist() for r in load_dataset(tmp_path / "no-test.yaml", "val")}
    assert {r.path.name: r.boxes_xyxy.tolist() for r in halved["test"]} == {n: original[n] for n in names["test"]}
    written = Path(plan.data).stat().st_mtime_ns
    again = make(data=str(tmp_path / "no-test.yaml"))
    assert keys(again) == keys(plan)
    assert Path(again.data).stat().st_mtime_ns == written
    with pytest.raises(UsageError, match=r"evaluate.split is test, but .* has none"):
        make(data=str(tmp_path / "no-test.yaml"), evaluate={"split": "test"})


def test_the_halved_validation_split_does_not_depend_on_where_the_data_lie(tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data.parent, tmp_path / "elsewhere")
    found = []
    for root in (tiny_data.parent, tmp_path / "elsewhere"):
        dataset = load_dataset(tiny_data, data_root=root)
        found.append([record.path.name for record in halve_validation(dataset)["val"]])
    assert found[0] == found[1]


def test_a_budget_of_time_is_settled_once(make: Callable[..., Plan], write_spec: Callable[..., Path]) -> None:
    plan = make(budget={"minutes": 3.0})  # the fixture settles on 2 epochs
    project = plan.folder.parent
    assert remembered_epochs(plan) == dict.fromkeys(plan.models, 2)
    other = make_plan(read_study(write_spec(budget={"minutes": 4.0})), project)
    assert remembered_epochs(other) is None


def test_weights_bring_their_model(make: Callable[..., Plan], root: Path) -> None:
    weights = root / "weights" / "yolov5n-digits.pt"
    if not weights.is_file():
        pytest.skip("the digits weights are not here")
    plan = make(cfg=None, weights=str(weights), seeds=1, controls=None)
    assert plan.models["baseline"].nc == 2
    assert plan.models["se"].layers[18].module == "SE"


def test_runs_keep_the_hyperparameters_that_the_study_began_with(make: Callable[..., Plan], tmp_path: Path) -> None:
    one: dict[str, Any] = {"variants": {"se": "SE@neck.P3"}, "controls": None, "seeds": 1}
    own = tmp_path / "mine.yaml"
    own.write_text("lr0: 0.02\n")
    plan = make(**one, train={"imgsz": 64, "hyp": str(own)})
    argv = plan.runs[0].argv
    copy = Path(argv[argv.index("--hyp") + 1])
    before = keys(plan)
    own.write_text("lr0: 0.5\n")  # edited while the study runs
    assert copy.read_text() == "lr0: 0.02\n"
    assert plan.folder in copy.parents
    own.write_text("lr0: 0.02\n")
    assert keys(make(**one, train={"imgsz": 64, "hyp": str(own)})) == before
    shipped = make(**one, train={"imgsz": 64, "hyp": "v5-low"}).runs[0].argv
    assert shipped[shipped.index("--hyp") + 1] == "v5-low"


@pytest.mark.parametrize(
    ("text", "message"), [("lr0: [", "not valid YAML"), ("momentun: 0.9", "did you mean 'momentum'"), ("", "is empty")]
)
def test_wrong_hyperparameters_are_said_before_anything_runs(
    make: Callable[..., Plan], tmp_path: Path, text: str, message: str
) -> None:
    one: dict[str, Any] = {"variants": {"se": "SE@neck.P3"}, "controls": None, "seeds": 1}
    own = tmp_path / "mine.yaml"
    own.write_text(text)
    with pytest.raises(ValueError, match=message):
        make(**one, train={"imgsz": 64, "hyp": str(own)})
