"""The hash of the code that a run depends on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from data.folders import ROOT
from study.plan import code_fingerprint


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout of four modules: a imports b, lazily c by name through the package, and not d."""
    files = {
        "p/__init__.py": '_HOMES = {"thing": "p.c"}\n',
        "p/a.py": "from p.b import x\ndef f():\n    from p import thing\n    return thing\n",
        "p/b.py": "x = 1  # one\n",
        "p/c.py": '"""About c."""\nthing = 2\n',
        "p/d.py": "unused = 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code_fingerprint, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for cached in (
        code_fingerprint._imports,
        code_fingerprint._homes,
        code_fingerprint._tree,
        code_fingerprint._content_hash,
    ):
        cached.cache_clear()


def now() -> str:
    forget()
    return code_fingerprint.code_hash(["p.a"])


def test_imports_are_followed_also_lazy_ones(package: Path) -> None:
    found = {path.name for path in code_fingerprint.closure(["p.a"])}
    assert found == {"__init__.py", "a.py", "b.py", "c.py"}


@pytest.mark.parametrize(
    ("file", "text", "same"),
    [
        ("p/b.py", "x = 2\n", False),
        ("p/c.py", '"""About c."""\nthing = 3\n', False),
        ("p/c.py", '"""Otherwise."""\n\n\nthing = (2)  # two\n', True),
        ("p/d.py", "unused = 4\n", True),
    ],
)
def test_only_what_matters_changes_it(package: Path, file: str, text: str, same: bool) -> None:
    before = now()
    (package / file).write_text(text)
    assert (now() == before) is same


def test_a_moved_module_of_equal_content_gives_the_same_hash(package: Path) -> None:
    before = now()
    (package / "q").mkdir()
    (package / "q" / "__init__.py").write_text('"""Where p lies now."""\n_HOMES = {"thing": "p.c"}\n')
    for name in ("a", "b"):
        (package / "p" / f"{name}.py").rename(package / "q" / f"{name}.py")
    # q.a still says `from p.b import x`: b has to be found there for the closure to be the same.
    (package / "p" / "b.py").write_text((package / "q" / "b.py").read_text())
    forget()
    assert code_fingerprint.code_hash(["q.a"]) == before


def test_neither_order_nor_names_of_modules_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkouts whose modules sort the other way round, with the same three contents."""
    hashes = []
    for checkout, names in (("one", ("a", "z")), ("two", ("z", "a"))):
        (tmp_path / checkout).mkdir()
        for name, text in zip(names, ("x = 1\n", "y = 2\n"), strict=True):
            (tmp_path / checkout / f"{name}.py").write_text(text)
        monkeypatch.setattr(code_fingerprint, "ROOT", tmp_path / checkout)
        forget()
        hashes += [code_fingerprint.code_hash(roots) for roots in (["a", "z"], ["z", "a"])]
    forget()
    assert len(set(hashes)) == 1


def test_training_depends_on_models_but_not_on_detection_or_reports() -> None:
    forget()
    found = {path.relative_to(ROOT).as_posix() for path in code_fingerprint.closure(["engine.training.run"])}
    assert {"engine/training/trainer.py", "models/build.py", "models/network/parser.py", "data/loading.py"} <= found
    assert not found & {"engine/detection/run.py", "study/report/write.py", "attention/mechanisms/se.py"}


def test_measuring_depends_on_metrics_but_not_on_reports() -> None:
    forget()
    found = {path.relative_to(ROOT).as_posix() for path in code_fingerprint.closure(["study.execute.measure"])}
    assert {"study/execute/measure.py", "metrics/coco.py", "engine/validation/validator.py"} <= found
    assert not found & {"study.py", "study/report/write.py", "study/cli.py"}


def test_only_the_mechanisms_that_are_used_count() -> None:
    forget()
    hashes = {
        tuple(names): code_fingerprint.code_hash(["engine.training.run"], names) for names in (["SE"], ["CBAM"], [])
    }
    assert len(set(hashes.values())) == 3
    assert code_fingerprint.code_hash(["engine.training.run"], ["ChannelAttention"]) == hashes["SE",]  # an alias
