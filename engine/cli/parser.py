"""The parser of all scripts, and the flags that several of them share. No heavy imports."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from data.folders import ROOT
from engine.cli.option_values import checked_values
from engine.errors import UsageError
from engine.runtime.paths import RUNS


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Show defaults that say something, numbers and words, once; not False, None or an empty list."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        said_already = "(default:" in (action.help or "")
        says_something = not said_already and action.default not in (None, False, "", [], argparse.SUPPRESS)
        return super()._get_help_string(action) if says_something else action.help


def _hyperparameters() -> frozenset[str]:
    """Return the names of the hyperparameters, as --hyp files have them."""
    import yaml

    return frozenset(yaml.safe_load((ROOT / "cfg" / "hyp" / "v5-low.yaml").read_text(encoding="utf-8")))


class Parser(argparse.ArgumentParser):
    """Parse flags; what is wrong is a UsageError of one line, which names the replacement of a flag of YOLOv5."""

    def __init__(
        self,
        prog: str,
        description: str,
        replaced: dict[str, str] | None = None,
        replaced_v7: dict[str, str] | None = None,
    ) -> None:
        super().__init__(prog, description=description, allow_abbrev=False, formatter_class=_Formatter)
        self.replaced, self.replaced_v7 = replaced or {}, replaced_v7 or {}

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        flag, explicit, _ = message.removeprefix("argument ").partition(": ignored explicit argument ")
        if explicit:  # --single-cls=True
            message = f"{flag} takes no value: write it alone"
        raise UsageError(f"{message}; `{self.prog} --help` lists the flags")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, and say for each unknown flag what to write instead.

        Raises:
            UsageError: for anything that cannot be parsed.
        """
        options, rest = self.parse_known_args(args, namespace)
        for argument in rest:
            flag = argument.split("=")[0]
            for family, replaced in (("YOLOv5", self.replaced), ("YOLOv7", self.replaced_v7)):
                known_as = next((old for old in replaced if old.replace("_", "-") == flag.replace("_", "-")), None)
                if known_as is not None:
                    raise UsageError(f"{flag} is a flag of {family} that has no meaning here: {replaced[known_as]}")
            if flag.lstrip("-").replace("-", "_") in _hyperparameters():
                raise UsageError(
                    f"{flag} is a hyperparameter: copy cfg/hyp/v5-low.yaml, set {flag.lstrip('-').replace('-', '_')} "
                    "there, and give the copy as --hyp FILE"
                )
            known = [name for action in self._actions for name in action.option_strings]
            near = get_close_matches(flag, known, n=1)
            hint = f"; did you mean {near[0]}?" if near and flag.startswith("-") else ""
            if not flag.startswith("-"):
                hint = self._too_much(argument, sys.argv[1:] if args is None else args)
            raise UsageError(f"unknown argument '{argument}'{hint} (`{self.prog} --help` lists the flags)")
        return options

    def _too_much(self, value: str, arguments: Sequence[str]) -> str:
        """Say how many values the flag takes that a stray value stands behind; empty where it stands behind none."""
        before = [each.split("=")[0] for each in arguments[: list(arguments).index(value)]]
        flag = next((each for each in reversed(before) if each in self._option_string_actions), None)
        if flag is None:
            return ""
        alone = self._option_string_actions[flag].nargs == 0
        return f": {flag} takes no value: write it alone" if alone else f": {flag} takes one value"


def options_from(parser: Parser, caller: str, given: Mapping[str, Any]) -> argparse.Namespace:
    """Return a command's options for a call from Python: the defaults of its flags, and what was given.

    Args:
        parser: of the command.
        caller: name of the function, for messages.
        given: options by the flag's name with underscores.

    Raises:
        UsageError: if there is no such option, or the flag would not take its value.
    """
    settings = parser.parse_args([])
    for name in given:
        if not hasattr(settings, name):
            raise UsageError(f"{caller}() has no option '{name}'; it takes {', '.join(sorted(vars(settings)))}")
    vars(settings).update(checked_values(parser, caller, given))
    return settings  # type: ignore[no-any-return]


def any_case(*names: str) -> Callable[[str], str]:
    """Return an argparse type that takes names whatever their case, and leaves others to the check of choices."""
    known = {name.lower(): name for name in names}

    def parse(text: str) -> str:
        return known.get(text.lower(), text)

    return parse


def _number_type(convert: Callable[[str], Any], fits: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    """Return an argparse type whose complaint names what it expected."""

    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"'{text}' is not {expected}")
        return value

    return parse


DEVICES = "cpu, a GPU's number, or mps, xpu, npu"
DEVICE_HELP = f"{DEVICES}; not given: the first GPU, else the CPU"

positive_int = _number_type(int, lambda value: value >= 1, "a whole number of at least 1")
non_negative_int = _number_type(int, lambda value: value >= 0, "a whole number of at least 0")
seed_int = _number_type(int, lambda value: 0 <= value < 1 << 31, "a whole number from 0 to 2147483647")
any_int = _number_type(int, lambda value: True, "a whole number")
batch_size_or_auto = _number_type(
    int, lambda value: value >= 1 or value == -1, "a whole number of at least 1, or -1 to fit the memory"
)
fraction = _number_type(float, lambda value: 0 <= value <= 1, "a number between 0 and 1")
positive_float = _number_type(float, lambda value: 0 < value < float("inf"), "a number above 0")


class OneNumber(argparse.Action):
    """Take height and width that are the same, as YOLOv5 and YOLOv7 write them, for the one number that they are."""

    several = False  # whether numbers that differ are taken as they are

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Set the option.

        Raises:
            ArgumentError: if the numbers differ and only one can be meant.
        """
        if len(set(values)) > 1 and not self.several:
            raise argparse.ArgumentError(self, f"{' '.join(map(str, values))}: give one number, the longer side")
        setattr(namespace, self.dest, values[0] if len(set(values)) == 1 else values)


class OneNumberOrSeveral(OneNumber):
    """Take height and width that are the same for one number, and others as they are."""

    several = True


def add_model_flags(parser: Parser, weights_help: str, exported: bool = False) -> None:
    """Add the flags that name the model."""
    group = parser.add_argument_group("model")
    group.add_argument("--weights", default=None, metavar="FILE", help=weights_help)
    group.add_argument(
        "--download", action="store_true", help="allow fetching official weights or data sets that are not on disk"
    )
    if exported:
        group.add_argument(
            "--trust", action="store_true", help="load --weights even if it is a program (.torchscript, .engine)"
        )


def add_attention_flags(parser: Parser) -> Any:
    """Add the flags that place attention, and return their group."""
    group = parser.add_argument_group("attention")
    group.add_argument("--cfg", default="", metavar="YAML", help="model YAML or name; wins over the checkpoint's own")
    group.add_argument(
        "--attention",
        nargs="+",
        action="extend",  # given twice, both are meant
        default=[],
        metavar="NAME@PLACE",
        help="for example CBAM@neck.P3,neck.P4 SE@backbone.C3",
    )
    group.add_argument("--identity", action="store_true", help="start every mechanism as the identity (x + 0 * change)")
    group.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file of your own mechanisms; it is run"
    )
    return group


def add_data_flags(parser: Parser) -> None:
    """Add the flags that name the data set."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", default=None, metavar="YAML", help="data set: a YAML, a folder, or the name of one in data/"
    )
    group.add_argument(
        "--data-root", default=None, metavar="DIR", help="where the data set lies, if not where its YAML says"
    )
    group.add_argument("--single-cls", action="store_true", help="treat all classes as one")
    add_stretch_flag(group)
    add_reduced_flag(group)


def add_image_size_flag(group: Any, default: int | None, says: str, action: Any = "store") -> None:
    """Add --imgsz with its other spellings: one number, or several as the action takes them."""
    spellings = ("--imgsz", "--img", "--img-size")
    group.add_argument(*spellings, nargs="+", type=positive_int, action=action, default=default, help=says)


def add_stretch_flag(group: Any) -> None:
    """Add the flag that says how images of more than 8 bits are seen."""
    group.add_argument(
        "--stretch",
        action="store_true",
        help="spread the values of 16-bit images over the 8 bits that are seen (in training and after it alike)",
    )


def add_reduced_flag(group: Any) -> None:
    """Add the flag that says whether large JPEGs are decoded whole."""
    group.add_argument(
        "--reduced-decode",
        action="store_true",
        help="decode JPEGs of at least twice --imgsz at a half, quarter or eighth of their size: faster, almost alike",
    )


def add_slice_flags(group: Any, windows_are: str) -> None:
    """Add the flags that cut large images into windows.

    Args:
        group: of flags.
        windows_are: what is done with them.
    """
    group.add_argument(
        "--slice",
        type=positive_int,
        default=None,
        metavar="PIXELS",
        help=f"for large images with small objects: windows of this side, and the whole image, are {windows_are}",
    )
    group.add_argument(
        "--slice-overlap", type=fraction, default=0.2, metavar="PART", help="of a window that its neighbour shows too"
    )


def add_run_flags(parser: Parser, task: str) -> None:
    """Add the flags that choose device and run folder."""
    group = parser.add_argument_group("run")
    group.add_argument("--device", default="", help=DEVICE_HELP)
    group.add_argument("--project", default=str(RUNS / task), metavar="DIR", help="folder for runs")
    group.add_argument("--name", default="exp", help="name of this run's folder")
    group.add_argument("--exist-ok", action="store_true", help="write into an existing folder of that name")
