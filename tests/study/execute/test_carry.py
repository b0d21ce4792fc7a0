"""Finished runs of another folder: taken by what they are made of, refused with what differs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from engine.errors import UsageError
from study.execute.carry import differences, import_runs
from study.execute.local import sort_runs, status
from study.plan.plan import Plan, address_runs, make_plan
from study.plan.run import read_json
from study.plan.study_spec import read_study


def plan_in(folder: Path, spec: Path, **changes: Any) -> Plan:
    """Plan the study of a spec as another user would: spec and data lie elsewhere."""
    folder.mkdir(parents=True)
    content = {**yaml.safe_load(spec.read_text()), **changes}
    data = folder / "data"
    shutil.copytree(Path(content["data"]).parent, data)
    names = yaml.safe_load((data / "tiny.yaml").read_text())
    (data / "tiny.yaml").write_text(yaml.safe_dump({**names, "path": str(data)}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**content, "data": str(data / "tiny.yaml")}))
    plan = make_plan(read_study(folder / "tiny.yaml"), folder / "studies")
    address_runs(plan, dict.fromkeys(plan.models, plan.spec.epochs or 2))
    return plan


@pytest.fixture
def done(make: Callable[..., Plan], finish_run: Callable[..., None]) -> Plan:
    """A finished study of two variants and two seeds."""
    plan = make(seeds=2, controls=None, variants={"se": "SE@neck.P3"})
    for run in plan.runs:
        finish_run(plan, run, 3.0)
        for name in ("last.pt", "best.pt"):
            (run.folder / "train" / "weights" / name).write_bytes(b"weights")
    return plan


def test_runs_made_elsewhere_are_taken_by_content(done: Plan, tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "other", done.spec.file)
    before = {path: path.read_bytes() for path in done.folder.rglob("*") if path.is_file()}
    (plan.runs[1].folder / "train").mkdir(parents=True)  # an unfinished one of ours stands aside
    (plan.runs[0].folder.parent).mkdir(parents=True, exist_ok=True)
    imported = import_runs(plan, done.folder)
    assert {run.label for run in imported.taken} == {run.label for run in plan.runs}
    assert (imported.there, imported.refused, imported.others) == ([], {}, 0)
    outcome, waiting = sort_runs(plan, retry_failed=False)
    assert (len(outcome.done), waiting) == (4, [])  # nothing is trained again
    assert (plan.runs[1].folder / "train" / "weights" / "last.pt").read_bytes() == b"weights"
    assert [path.name.split("-")[-2] for path in plan.runs[1].folder.parent.glob("*unfinished*")] == ["unfinished"]
    assert before == {path: path.read_bytes() for path in done.folder.rglob("*") if path.is_file()}
    again = import_runs(plan, done.folder.parent)
    assert (again.taken, len(again.there)) == ([], 4)


def test_a_recipe_names_no_place(done: Plan) -> None:
    recipe = json.dumps((read_json(done.runs[0].folder / "run.json") or {})["recipe"])
    assert str(done.spec.file.parent) not in recipe
    assert str(Path(done.spec.data).parent) not in recipe


def test_another_recipe_is_refused_with_what_differs(done: Plan, tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "other", done.spec.file, budget={"epochs": 3})
    with pytest.raises(UsageError, match=r"no run of it fits this study; .*: epochs is 2 there, 3 here"):
        import_runs(plan, done.folder)
    assert {status(run) for run in plan.runs} == {"new"}


def test_what_fits_is_taken_and_the_rest_named(done: Plan, tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "other", done.spec.file, variants={"se": "SE@neck.P4"}, seeds=1)
    imported = import_runs(plan, done.folder)
    assert [run.label for run in imported.taken] == ["baseline seed 0"]
    ((label, reason),) = imported.refused.items()
    assert label.startswith("se seed 0 (seed0-")
    assert reason == "model differs in attention"
    assert imported.others == 2  # of seed 1


def test_other_images_are_refused(done: Plan, tmp_path: Path) -> None:
    elsewhere = plan_in(tmp_path / "other", done.spec.file)
    image = next((Path(elsewhere.spec.data).parent / "images" / "train").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    plan = make_plan(elsewhere.spec, tmp_path / "more")
    address_runs(plan, elsewhere.epochs)
    with pytest.raises(UsageError, match="data differs in train"):
        import_runs(plan, done.folder)


def test_incomplete_and_busy_runs_are_refused(done: Plan, tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "other", done.spec.file)
    (done.runs[0].folder / "train" / "results.csv").unlink()
    plan.runs[1].folder.mkdir(parents=True)
    with FileLock(plan.runs[1].folder / "lock"):
        imported = import_runs(plan, done.folder)
    assert len(imported.taken) == 2
    assert sorted(imported.refused.values()) == [
        "another process is at this run",
        "it is incomplete: there is no train/results.csv",
    ]


def test_weights_may_be_left_out_unless_they_are_measured_anew(done: Plan, tmp_path: Path) -> None:
    plan = plan_in(tmp_path / "other", done.spec.file)
    for run in done.runs[:2]:
        shutil.rmtree(run.folder / "train" / "weights")
    file = done.runs[1].folder / "done.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eval_key": "of an older measure"}))
    imported = import_runs(plan, done.folder)
    assert len(imported.taken) == 3
    assert list(imported.refused.values()) == [
        "it is incomplete: there is no train/weights/last.pt, and it has to be measured anew"
    ]
    assert [status(run) for run in plan.runs] == ["done", "new", "done", "done"]


def test_links_are_not_followed(done: Plan, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    (done.runs[0].folder / "train" / "notes.txt").symlink_to(secret)
    plan = plan_in(tmp_path / "other", done.spec.file)
    import_runs(plan, done.folder)
    assert (plan.runs[0].folder / "train" / "results.csv").is_file()
    assert not (plan.runs[0].folder / "train" / "notes.txt").exists()


def test_a_folder_without_runs_is_an_error(done: Plan, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no finished runs"):
        import_runs(done, tmp_path / "empty")
    with pytest.raises(UsageError, match="no such folder; give that of a study"):
        import_runs(done, tmp_path / "nowhere")


def test_differences_are_named_part_by_part() -> None:
    ours = {"code": "a", "options": {"imgsz": 64, "epochs": 2}, "data": {"train": "x", "val": "y"}, "names": {0: "cat"}}
    assert differences(json.loads(json.dumps(ours)), ours) == ["its recipe differs"]
    theirs = {**ours, "code": "b", "options": {"imgsz": 96, "epochs": 2}, "data": {"train": "x", "val": "z"}}
    assert differences(json.loads(json.dumps(theirs)), ours) == [
        "the code that training runs, or a library's version differs",
        "data differs in val",
        "imgsz is 96 there, 64 here",
    ]
    assert "before runs wrote down" in differences(None, ours)[0]
