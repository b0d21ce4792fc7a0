"""Options of every mechanism are held against the types that its constructor declares."""

from collections.abc import Sequence

import pytest
from torch import nn

from attention import ATTENTION, build_attention
from attention.option_types import wrong_type
from attention.registry import options

OPTIONS = [(name, option) for name in ATTENTION.names() for option in options(name)]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_what_is_no_value_of_an_option_is_one_line_that_names_it(name: str, option: str) -> None:
    """No option of any mechanism takes a list of text, and none that is not text takes text."""
    declared_as_text = isinstance(options(name)[option], str)
    for value in (["x"], float("nan"), 5j, "no such value" if declared_as_text else "False"):
        with pytest.raises(ValueError, match=option) as caught:
            build_attention(name, 16, **{option: value})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


class Declares(nn.Module):
    def __init__(
        self, channels: int, flag: bool = True, ratio: float = 1, sizes: Sequence[int] = (3,), k: int | None = None, o=1
    ) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"flag": "False"}, "flag='False', expected true or false"),
        ({"flag": None}, "flag=None, expected true or false"),
        ({"ratio": True}, "ratio=True, expected a finite number"),
        ({"ratio": float("inf")}, "ratio=inf, expected a finite number"),
        ({"ratio": 10**309}, f"ratio={10**309}, expected a finite number"),
        ({"sizes": "357"}, "sizes='357', expected a list of whole numbers"),
        ({"sizes": [3, 5.0]}, "sizes=[3, 5.0], expected a list of whole numbers"),
        ({"k": 3.0}, "k=3.0, expected a whole number or none"),
        ({"flag": 0, "ratio": 2, "sizes": [3, 5], "k": None, "o": object}, ""),
    ],
)
def test_a_declared_type_says_what_is_expected(given: dict[str, object], said: str) -> None:
    assert wrong_type(Declares, given) == said


def test_a_bottleneck_wider_than_any_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reduction=1e-30 would widen 64 channels"):
        build_attention("SE", 64, reduction=1e-30)


def test_options_that_memory_cannot_hold_are_refused_in_one_line() -> None:
    with pytest.raises(
        ValueError, match=r"CascadedGroupAttention: cannot be constructed with window=10000000"
    ) as caught:
        build_attention("CascadedGroupAttention", 16, window=10_000_000)
    assert "\n" not in str(caught.value)
