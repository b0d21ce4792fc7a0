"""Variants that change a pretrained detector before it is trained."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from models import read_spec
from study.plan.starts import changed_starts


def plan(weights: Path | None, **attention: tuple[list[str], bool]) -> Any:
    """A plan of nothing but models on yolov5n."""
    models = {"baseline": read_spec("yolov5n")}
    models |= {name: read_spec("yolov5n", placed, identity=start) for name, (placed, start) in attention.items()}
    return SimpleNamespace(models=models, weights=weights)


def test_attention_that_is_no_identity_is_named_with_its_place() -> None:
    variants: Any = {
        "plain": (["CBAM@17"], False),
        "identity": (["CBAM@17"], True),
        "twice": (["CBAM@17", "SE@inside:4"], False),
        "library": (["torchvision.ops.SqueezeExcitation@17"], False),
    }
    assert changed_starts(plan(Path("a.pt"), **variants)) == {
        "plain": ("CBAM after 17",),
        "twice": ("SE inside 4", "CBAM after 17"),
        "library": ("SqueezeExcitation after 17",),
    }
    assert changed_starts(plan(None, **variants)) == {}


def test_a_mechanism_that_starts_as_the_identity_by_itself_is_none() -> None:
    assert changed_starts(plan(Path("a.pt"), own=(["DoubleAttention@17"], False))) == {}
