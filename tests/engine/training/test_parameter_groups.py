"""What is frozen, what is attention, what decays."""

import pytest

from engine.errors import UsageError
from engine.training.parameter_groups import frozen_names, frozen_rows, parameter_groups
from models import build_model


@pytest.fixture(scope="module")
def plain():
    return build_model("yolov5n", nc=3)


@pytest.fixture(scope="module")
def attended():
    return build_model("yolov5n", nc=3, attention=["CBAM@backbone.P3", "SE@neck.P5"], identity=True)


@pytest.mark.parametrize(("flag", "rows"), [([0], []), ([3], [0, 1, 2]), ([0, 1, 9], [0, 1, 9])])
def test_freeze_is_read_as_in_yolov5(flag, rows):
    assert frozen_rows(flag) == rows


def test_freezing_counts_rows_of_the_base_and_spares_attention(attended):
    frozen = frozen_names(attended, range(10), False)
    prefixes = {name.split(".")[1] for name in frozen}
    assert prefixes == {str(row) for row in range(10)}  # 4+CBAM stands between 4 and 5
    assert not any("CBAM" in name for name in frozen)


def test_row_1_is_not_row_10(plain):
    assert {name.split(".")[1] for name in frozen_names(plain, [1], False)} == {"1"}


def test_a_row_that_is_not_there(plain):
    with pytest.raises(UsageError, match="--freeze 99: the base's last row is 24"):
        frozen_names(plain, [99], False)


def test_freezing_everything_is_refused(plain):
    with pytest.raises(UsageError, match="nothing is left to train"):
        frozen_names(plain, range(25), False)


def test_only_attention_is_trained(attended):
    frozen = frozen_names(attended, [], True)
    trained = [name for name, _ in attended.named_parameters() if name not in frozen]
    assert trained
    assert all("+CBAM" in name or "+SE" in name for name in trained)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ("torchvision.ops.SqueezeExcitation@4", "model.4+SqueezeExcitation."),
        ("torch.nn.BatchNorm2d@inside/last:4", "model.4.cv3.attention."),
        ("ECA@inside/last:4", "model.4.cv3.attention."),
    ],
)
def test_attention_is_known_by_its_place(entry, where):
    model = build_model("yolov5n", nc=3, attention=[entry])
    frozen = frozen_names(model, [], True)
    trained = [name for name, _ in model.named_parameters() if name not in frozen]
    assert trained
    assert all(name.startswith(where) for name in trained)


def test_there_must_be_attention_to_train_it_alone(plain):
    assert plain.attention_names() == []
    with pytest.raises(UsageError, match="the model has none"):
        frozen_names(plain, [], True)


def test_every_trainable_parameter_is_in_exactly_one_group(attended):
    for factor in (1.0, 3.0):
        groups = parameter_groups(attended, 0.01, 5e-4, factor)
        ids = [id(parameter) for group in groups for parameter in group["params"]]
        assert len(ids) == len(set(ids)) == sum(1 for _ in attended.parameters())


def test_decay_is_for_matrices_and_convolutions_only(attended):
    for group in parameter_groups(attended, 0.01, 5e-4, 1.0):
        if group["weight_decay"]:
            assert all(parameter.ndim > 1 for parameter in group["params"])
    decayed = {id(p) for g in parameter_groups(attended, 0.01, 5e-4, 1.0) if g["weight_decay"] for p in g["params"]}
    gates = [parameter for name, parameter in attended.named_parameters() if name.endswith("gamma")]
    assert len(gates) == 2
    assert not any(id(gate) in decayed for gate in gates)
    assert id(attended.model[0].conv.weight) in decayed
    assert id(attended.model[0].bn.weight) not in decayed


def test_attention_may_learn_faster(attended):
    groups = parameter_groups(attended, 0.01, 5e-4, 3.0)
    rates = {group["part"]: group["lr"] for group in groups}
    assert rates == {"base": 0.01, "attention": pytest.approx(0.03)}
    fast = {id(parameter) for group in groups if group["part"] == "attention" for parameter in group["params"]}
    inside = [p for name, p in attended.named_parameters() if "+CBAM" in name or "+SE" in name]
    assert fast == {id(parameter) for parameter in inside}


def test_frozen_parameters_are_left_out(plain):
    plain.model[0].conv.weight.requires_grad = False
    try:
        ids = {id(p) for group in parameter_groups(plain, 0.01, 5e-4, 1.0) for p in group["params"]}
        assert id(plain.model[0].conv.weight) not in ids
    finally:
        plain.model[0].conv.weight.requires_grad = True


@pytest.mark.parametrize(("freeze", "named"), [([100], 100), ([26], 26), ([3, 99], 99)])
def test_the_number_that_was_given_is_named(plain, freeze, named):
    with pytest.raises(UsageError, match=f"--freeze {named}: the base's last row is 24"):
        frozen_names(plain, frozen_rows(freeze), False)
