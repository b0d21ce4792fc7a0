"""The options of the Python functions are the flags of the scripts."""

import pytest

from engine.cli import option_types
from engine.cli.main import make_parser
from engine.cli.parser import options_from
from engine.errors import UsageError

# Arguments of the functions themselves, and what only a script can do: write and show.
ARGUMENTS = {"train": set(), "val": {"weights", "data"}, "detect": {"weights", "source"}, "export": {"weights"}}
WRITES = {"view_img", "save_txt", "save_csv", "save_conf", "save_crop", "nosave", "line_thickness", "hide_labels"}
WRITES |= {"hide_conf", "maps", "layer", "map_classes", "pdf", "visualize", "project", "name", "exist_ok", "profile"}
WRITES |= {"save_dataset", "dataset_images"}
TYPES = {"train": "TrainOptions", "val": "ValidateOptions", "detect": "DetectOptions", "export": "ExportOptions"}


@pytest.mark.parametrize("command", TYPES)
def test_options_are_the_flags(command):
    flags = set(vars(make_parser(command).parse_args([]))) - ARGUMENTS[command]
    typed = set(getattr(option_types, TYPES[command]).__annotations__)
    assert typed == flags - (WRITES if command == "detect" else set())


def test_an_option_that_there_is_not_is_refused_by_name():
    with pytest.raises(UsageError, match=r"detect\(\) has no option 'confidence'; it takes .*conf_thres"):
        options_from(make_parser("detect"), "detect", {"confidence": 0.5})
    assert options_from(make_parser("detect"), "detect", {"conf_thres": 0.5}).conf_thres == 0.5
