"""Data YAMLs: what is accepted, and that each fault is one line with file, key and remedy."""

from pathlib import Path

import pytest

from data import DataError, read_config
from data.folders import ROOT


def write(tmp_path: Path, text: str, name: str = "mine.yaml") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


GOOD = "path: .\ntrain: a\nval: b\nnames: [x, y]\n"


def test_names_as_list_and_as_mapping_mean_the_same(tmp_path: Path) -> None:
    by_list = read_config(write(tmp_path, GOOD))
    by_number = read_config(write(tmp_path, "train: a\nval: b\nnames: {1: y, 0: x}\n"))
    assert by_list.names == by_number.names == ("x", "y")
    assert by_list.splits["train"][0].path == tmp_path / "a"


def test_numbers_become_names_and_nc_alone_makes_names(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "train: a\nnames: [0, 1]\n")).names == ("0", "1")
    assert read_config(write(tmp_path, "train: a\nnc: 2\n")).names == ("class0", "class1")
    assert read_config(write(tmp_path, "train: a\n")).names is None


def test_validation_is_another_word_for_val(tmp_path: Path) -> None:
    assert set(read_config(write(tmp_path, "train: a\nvalidation: b\nnc: 1")).splits) == {"train", "val"}


def test_roboflow_paths_beside_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "train" / "images").mkdir(parents=True)
    config = read_config(write(tmp_path, "train: ../train/images\nval: ../valid/images\nnc: 1\n"))
    assert config.splits["train"][0].path == tmp_path / "train" / "images"


def test_data_root_takes_the_place_of_path(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    config = read_config(write(tmp_path, GOOD), data_root=tmp_path / "elsewhere")
    assert config.root == tmp_path / "elsewhere"
    assert config.splits["val"][0].path == tmp_path / "elsewhere" / "b"
    with pytest.raises(DataError, match=r"--data-root .*nowhere: no such folder"):
        read_config(write(tmp_path, GOOD), data_root=tmp_path / "nowhere")


def test_mapping_and_included_names() -> None:
    assert read_config({"train": "a", "names": ["x"]}).names == ("x",)
    assert read_config("digits").file == ROOT / "data" / "digits.yaml"
    assert read_config("bccd.yaml").corners == "plain"
    assert read_config("VOC").corners == "devkit"


def test_a_folder_stands_for_the_one_yaml_in_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert read_config(tmp_path).file == tmp_path / "mine.yaml"
    write(tmp_path, GOOD, "second.yaml")
    with pytest.raises(DataError, match="folder with 2 YAML files; name the data YAML itself"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.yaml: is empty"),
        ("- a\n", "mine.yaml: holds a list"),
        ("a: [1\n", "mine.yaml: is not valid YAML: .*line"),
        ("path: .\nnames: [x]\n", "'train', 'val' are missing"),
        ("trian: a\nnames: [x]\n", "missing; did you mean train"),
        ("trian: a\nnames: [x]\n", r"train\? write train: FOLDER or LIST.txt"),
        ("train: 3\nnames: [x]\n", "key 'train' has 3; write a folder"),
        ("train: [a, {b: c}]\nnames: [x]\n", "key 'train' has"),
        ('train: "a\\0b"\nnames: [x]\n', "key 'train' has"),
        ("train: a\nnames: x\n", "key 'names' is 'x'; write a list"),
        ("train: a\nnames: []\n", "key 'names' is \\[\\]; write a list"),
        ("train: a\nnames: [x, no]\n", "class 1 is False; write its name in quotes"),
        ("train: a\nnames: [x, null]\n", "class 1 is None"),
        ("train: a\nnames: {0: x, 2: y}\n", "0 … 1 without gaps"),
        ("train: a\nnames: [x, y]\nnc: 3\n", "key 'nc' is 3 but 'names' has 2 entries"),
        ("train: a\nnc: many\n", "key 'nc' is 'many'"),
        ("train: a\nnames: [x]\nformat: pascal\n", "key 'format' is 'pascal'; write one of yolo, voc, coco"),
        ("train: a\nnames: [x]\ncorners: 1\n", "key 'corners' is 1; write one of plain, devkit"),
        ("train: a\nnames: [x]\npath: [1]\n", "key 'path' is"),
        ("train: a\nnames: [x, x]\nformat: voc\n", "'x' stands there twice, but voc refers to classes by name"),
        ("train: !!python/object/apply:os.system ['touch HACKED']\nnames: [x]\n", "is not valid YAML"),
        ("train: a\nnames: [x]\nkpt_shape: [17, 3]\n", "is a pose data set"),
        ("train: a\nnames: [x]\nmasks_dir: masks\n", "is a segmentation data set"),
        ("train: a\nnames: [x]\ntask: segment\n", "is a segmentation data set"),
        ("train: a\nnames: [x]\ntask: classify\n", "is a classification data set"),
    ],
)
def test_each_fault_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        read_config(write(tmp_path, text))
    assert "\n" not in str(error.value)
    assert "mine.yaml" in str(error.value)
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.parametrize(("name", "word"), [("coco8-seg", "segmentation"), ("dogs_pose", "pose"), ("x-cls", "classif")])
def test_other_tasks_are_told_by_the_name(tmp_path: Path, name: str, word: str) -> None:
    with pytest.raises(DataError, match=f"is a {word}.* data set"):
        read_config(write(tmp_path, GOOD, f"{name}.yaml"))


def test_missing_split_names_those_that_there_are(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, "train: a\nnames: [x]\n"))
    with pytest.raises(DataError, match=r"key 'val' is missing \(it has train\); write val: FOLDER"):
        config.sources("val")


def test_misspelt_names_of_included_sets_get_a_hint() -> None:
    with pytest.raises(DataError, match=r"bcdd: no such data YAML; did you mean bccd\?"):
        read_config("bcdd")
    with pytest.raises(DataError, match=r"the included ones are .*coco128.*digits"):
        read_config("zzzzzz.yaml")


def test_binary_huge_and_entwined_files_are_refused_quickly(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(DataError, match="cannot be read as text"):
        read_config(file)
    file.write_bytes(b"#" * (5 << 20))
    with pytest.raises(DataError, match="larger than 4 MB"):
        read_config(file)
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    file.write_text(f"l0: &l0 [x]\n{layers}train: a\nnames: *l29\n", encoding="utf-8")
    with pytest.raises(DataError, match="key 'names': class 0 is") as error:
        read_config(file)
    assert len(str(error.value)) < 500
    file.write_text(f"train: {'[' * 1_000_000}{']' * 1_000_000}", encoding="utf-8")
    with pytest.raises(DataError, match="nested more than 50 deep"):
        read_config(file)


def test_the_other_ending_of_a_yaml_is_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cards.yaml").write_text("names: [a]\n")
    with pytest.raises(DataError, match=r"cards\.yml: no such data YAML; did you mean cards\.yaml\?"):
        read_config("cards.yml")


def test_numbers_are_names_as_they_are_written(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "train: a\nnames: [012, 2.50, 1e3, x]\n")).names == ("012", "2.50", "1e3", "x")
    assert read_config(write(tmp_path, "train: a\nnames: {1: 0x1F, 0: 007}\n")).names == ("007", "0x1F")
    assert read_config(write(tmp_path, "train: a\nnames:\n- 1_000\n- '7'\n")).names == ("1_000", "7")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("train: a\nnames:\n\t- x\n", "line 3 is indented by a tab: write spaces"),
        ("train: a\nnames： [x]\n", "line 2 has '：', a full-width sign: write ':'"),
        ("train：a\n", "line 1 has '：', a full-width sign"),
        ('train: "D:\\data\\set"\nnames: [x]\n', "line 1: within double quotes .* write / instead"),
        ('train: "D:\\new\\train"\nnames: [x]\n', "key 'train' is .* within double quotes .* write / instead"),
        ("train: a\nnames: [x, ［y]\npath: [\n", "line 2 has '［', a full-width sign: write '\\['"),
    ],
)
def test_usual_slips_in_a_yaml_are_named(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        read_config(write(tmp_path, text))


def test_a_yaml_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "gbk.yaml"
    file.write_bytes("train: a\nnames: [圆, 方]\n".encode("gbk"))
    with pytest.raises(DataError, match=r"line 2 is not UTF-8; save it as UTF-8"):
        read_config(file)
    file.write_text("train: a\nnames: [圆, 方]\n", encoding="utf-16")
    assert read_config(file).names == ("圆", "方")


def test_paths_written_on_windows(tmp_path: Path) -> None:
    for name in ("set/images/train", "set/images/val"):
        (tmp_path / name).mkdir(parents=True)
    config = read_config(write(tmp_path, "path: .\\set\\\ntrain: images\\train\nval: .\\images\\val\\\nnames: [x]\n"))
    assert config.root == tmp_path / "set"
    assert [config.splits[name][0].path for name in ("train", "val")] == [
        tmp_path / "set/images/train", tmp_path / "set/images/val",
    ]  # fmt: skip
    missing = read_config(write(tmp_path, "train: gone\\x\nval: gone\nnames: [x]\n"))
    assert "gone" in str(missing.splits["train"][0].path)


@pytest.mark.parametrize("source", [None, 3, ["a.yaml"]])
def test_what_names_no_data_set_is_refused(source):
    with pytest.raises(DataError, match=f"data: a {type(source).__name__} is no data set; give a YAML"):
        read_config(source)
