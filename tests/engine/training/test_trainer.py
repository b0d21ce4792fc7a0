"""The parts of the loop that are ours, in one-minute trainings of a tiny set; slow where they train."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionTrainer

from engine.cli.train_flags import train_parser
from engine.errors import RunFailed, UsageError
from engine.training.precision import Precision
from engine.training.run import _overrides, train
from engine.training.run_state import restore
from engine.training.trainer import DetectorTrainer
from models.weights.checkpoint import read_checkpoint
from tests.square_images import write_squares

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def data(tmp_path):
    """12 + 4 images with a bright square."""
    return write_squares(tmp_path / "data", train=12, val=4)


def options(data, tmp_path, **more):
    fixed = {
        "data": str(data),
        "cfg": "yolov5n",
        "weights": "",
        "imgsz": 64,
        "batch_size": 4,
        "epochs": 2,
        "workers": 0,
    }
    fixed |= {"noplots": True, "device": "cpu", "project": str(tmp_path / "runs"), "amp": "off", "noautoanchor": True}
    return fixed | more


def counted(epochs, batches, nominal, warmup_epochs=3.0):
    """Epochs' steps of a trainer without a model."""
    steps = []
    trainer = DetectorTrainer.__new__(DetectorTrainer)
    trainer.train_loader, trainer.epochs, trainer.nominal_accumulate = range(batches), epochs, nominal
    trainer.args, trainer.tloss = SimpleNamespace(warmup_epochs=warmup_epochs), None
    trainer._diverged, trainer._step = lambda stepping: False, lambda: None
    for epoch in range(epochs):
        trainer.epoch, trainer._batch, trainer._pending = epoch, 0, 0
        taken = []
        for batch in range(batches):
            trainer.optimizer_step()
            if not trainer._pending:
                taken.append(batch)
        steps.append(taken)
    return steps


def test_gradients_are_accumulated_and_never_carried_into_the_next_epoch(monkeypatch):
    monkeypatch.setattr(BaseTrainer, "optimizer_step", lambda self: None)
    assert counted(epochs=1, batches=10, nominal=4, warmup_epochs=0) == [[3, 7, 9]]
    # warm-up over 100 batches: 1 batch a step at first, 4 at its end
    steps = counted(epochs=40, batches=10, nominal=4)
    assert steps[0] == list(range(10))
    assert steps[11] == [3, 7, 9]


@pytest.mark.parametrize(
    ("epochs", "batches", "warmup", "expected"),
    [
        (100, 50, 3.0, 150),  # three epochs
        (100, 13, 3.0, 100),  # at least 100 batches, as in YOLOv5
        (4, 13, 3.0, 26),  # at most half the run
        (100, 50, 0.5, 25),  # less than an epoch is meant so
        (100, 50, 0.0, 0),
    ],
)
def test_warmup(epochs, batches, warmup, expected):
    trainer = SimpleNamespace(epochs=epochs, args=SimpleNamespace(warmup_epochs=warmup))
    assert DetectorTrainer._get_warmup_iterations(trainer, batches) == expected


def test_the_settings_of_a_run_are_yolov5s():
    settings = _overrides(train_parser().parse_args([]), SimpleNamespace(engine={"lr0": 0.02, "close_mosaic": 3.0}))
    expected = {"optimizer": "SGD", "iou": 0.6, "amp": False, "cls_pw": 0.0, "lr0": 0.02, "close_mosaic": 3}
    assert {key: settings[key] for key in expected} == expected
    assert type(settings["close_mosaic"]) is int


def test_a_hyperparameter_out_of_range_is_the_users_fault():
    with pytest.raises(UsageError, match=r"--hyp v5-low: .*lr0"):
        _overrides(train_parser().parse_args(["--hyp", "v5-low"]), SimpleNamespace(engine={"lr0": 5.0}))


@pytest.mark.slow
def test_an_old_table_is_gone_before_ultralytics_removes_it_in_every_process(data, tmp_path, monkeypatch):
    table = tmp_path / "runs" / "exp" / "results.csv"
    table.parent.mkdir(parents=True)
    table.write_text("old")

    def made(*args, **kwargs):
        assert not table.exists()
        raise InterruptedError

    monkeypatch.setattr("engine.training.run.DetectorTrainer", made)
    with pytest.raises(InterruptedError):
        train(**options(data, tmp_path, exist_ok=True))


def test_a_head_of_ultralytics_trains_with_its_own_gains_and_goes_on(data, tmp_path):
    more = {"cfg": "ultralytics/yolov8n", "attention": ["SE@neck.P3"], "epochs": 1}
    trainer = train(**options(data, tmp_path, **more))
    settings = yaml.safe_load((trainer.save_dir / "args.yaml").read_text())
    assert (settings["box"], settings["cls"], settings["dfl"], settings["close_mosaic"]) == (7.5, 0.5, 1.5, 10)
    assert yaml.safe_load((trainer.save_dir / "opt.yaml").read_text())["hyp"] == "ultralytics"
    again = train(resume=str(trainer.last), epochs=2)
    assert again.save_dir == trainer.save_dir
    assert len((trainer.save_dir / "results.csv").read_text().splitlines()) == 3


def test_frozen_rows_stay_as_they_are(data, tmp_path):
    trainer = train(**options(data, tmp_path, freeze=[3], seed=4))
    from models import build_model

    before = build_model("yolov5n", nc=1, seed=4).state_dict()
    after = trainer.model.state_dict()
    same = {key.split(".")[1] for key in before if key in after and torch.equal(before[key], after[key].contiguous())}
    changed = {key.split(".")[1] for key in before if not torch.equal(before[key], after[key].contiguous())}
    assert {"0", "1", "2"} <= same - changed
    assert {"3", "24"} <= changed


@pytest.mark.slow
def test_a_divergence_is_recovered_from_with_other_random_numbers(data, tmp_path, monkeypatch):
    from engine.training import run as training

    seeds = []

    class DivergingTrainer(DetectorTrainer):
        def optimizer_step(self):
            if self.epoch == 1:
                seeds.append(self.train_loader.sampler.seed)
                if self.nan_recovery_attempts == 0:
                    self.loss = self.loss * float("nan")
            super().optimizer_step()

    monkeypatch.setattr(training, "DetectorTrainer", DivergingTrainer)
    trainer = train(**options(data, tmp_path, epochs=3))
    assert len(set(seeds)) == 2
    assert [row["epoch"] for row in trainer.rows] == [1, 2, 3]
    assert all(torch.isfinite(value).all() for value in trainer.model.state_dict().values())


@pytest.mark.slow
def test_multi_scale_rect_and_other_optimizers_run(data, tmp_path):
    for more in ({"multi_scale": True, "optimizer": "AdamW"}, {"rect": True, "optimizer": "Adam", "cos_lr": True}):
        trainer = train(**options(data, tmp_path, epochs=1, **more))
        assert np.isfinite(trainer.rows[0]["train/box_loss"])


@pytest.mark.slow
def test_bfloat16_trains(data, tmp_path):
    trainer = train(**options(data, tmp_path, epochs=1, amp="bf16"))
    assert trainer.precision.name == "bf16"
    assert {value.dtype for value in trainer.model.parameters()} == {torch.float32}
    assert np.isfinite(trainer.rows[0]["train/obj_loss"])


PLUGIN = """
import torch
from torch import nn
from attention import ATTENTION


@ATTENTION.register("Spiky")
class Spiky(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)
        nn.init.constant_(self.mix.bias, 9.0)  # its sigmoid is 0.9999, which bfloat16 rounds to 1

    def forward(self, x):
        return x * 1e-4 / (1 - self.mix(x * 1e-3).sigmoid())
"""


@pytest.mark.slow
def test_attention_that_leaves_the_range_of_half_precision_ends_the_run_by_name(data, tmp_path):
    (tmp_path / "spiky.py").write_text(PLUGIN)
    more = {"plugin": [str(tmp_path / "spiky.py")], "attention": ["Spiky@neck.P3"], "amp": "bf16"}
    expected = r"epoch 1, batch 1 of 3: layer \S+Spiky \(Spiky\) is not finite for .*\.png.*attention leaves the range"
    with pytest.raises(RunFailed, match=expected) as failure:
        train(**options(data, tmp_path, **more))
    assert "use --amp off" in str(failure.value)
    assert "last.pt" in str(failure.value)
    trainer = train(**options(data, tmp_path, epochs=1, **{**more, "amp": "off"}))
    assert np.isfinite(trainer.rows[0]["train/box_loss"])


@pytest.mark.slow
def test_a_poisoned_batch_is_named_and_its_epoch_repeated(data, tmp_path, monkeypatch, caplog):
    from engine.training import run as training

    class PoisonedTrainer(DetectorTrainer):
        def preprocess_batch(self, batch):
            batch = super().preprocess_batch(batch)
            if self.epoch == 0 and self._batch == 1 and not self.nan_recovery_attempts:
                batch["img"][2] = torch.nan
                self.poisoned = batch["im_file"][2]
            return batch

    monkeypatch.setattr(training, "DetectorTrainer", PoisonedTrainer)
    monkeypatch.setattr("engine.training.epoch_loop.LOGGER.propagate", True)
    trainer = train(**options(data, tmp_path))
    name = trainer.poisoned.rpartition("/")[2]
    assert f"epoch 1, batch 2 of 3: the images given to the model are not finite: {name}" in caplog.text
    assert [row["epoch"] for row in trainer.rows] == [1, 2]
    assert all(torch.isfinite(value).all() for value in trainer.model.state_dict().values())


@pytest.mark.slow
def test_a_clock_that_jumps_moves_no_times(data, tmp_path, monkeypatch):
    jumps = iter(np.random.default_rng(0).uniform(-1e6, 1e6, 100_000).tolist())
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    trainer = train(**options(data, tmp_path, epochs=3))
    times = [row["time"] for row in trainer.rows]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 600


@pytest.mark.slow
def test_a_run_is_refused_when_its_data_model_or_hyperparameters_changed(data, tmp_path):
    cfg, hyp = tmp_path / "own.yaml", tmp_path / "hyp.yaml"
    cfg.write_text("base: yolov5n\nattention:\n  - {module: SE, at: neck.P3}\n")
    hyp.write_text("lr0: 0.01\n")
    train(**options(data, tmp_path, cfg=str(cfg), hyp=str(hyp)))
    last = tmp_path / "runs" / "exp" / "weights" / "last.pt"
    content = torch.load(last, weights_only=True)
    content["training"]["epoch"] = 0
    content["training"]["stopped"] = False
    torch.save(content, last)
    label = data.parent / "labels" / "train" / "0.txt"
    for path, old, new, name in ((cfg, "SE", "ECA", "cfg"), (hyp, "1", "2", "hyp"), (label, "375 ", "3 ", "train")):
        before = path.read_text()
        path.write_text(before.replace(old, new))
        with pytest.raises(UsageError, match=rf"changed since this run began: {name} \("):
            train(resume=str(last))
        path.write_text(before)
    assert train(resume=str(last)).rows[-1]["epoch"] == 2


@pytest.mark.slow
def test_a_run_that_goes_on_with_other_loader_processes_ends_the_same(data, tmp_path, monkeypatch):
    from engine.training import run as training

    class Interrupted(DetectorTrainer):
        def _model_train(self):
            if self.epoch == 1:
                raise KeyboardInterrupt
            super()._model_train()

    whole = train(**options(data, tmp_path, name="whole"))
    with monkeypatch.context() as patched:
        patched.setattr(training, "DetectorTrainer", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(**options(data, tmp_path, name="cut"))
    last = tmp_path / "runs" / "cut" / "weights" / "last.pt"
    cut = train(resume=str(last), workers=2)
    assert cut.train_loader.num_workers == 2
    expected, found = (trainer.model.state_dict() for trainer in (whole, cut))
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.slow
def test_loader_processes_that_are_chosen_between_epochs_change_nothing(data, tmp_path, monkeypatch):
    flags = {"batch_size": 2, "epochs": 3}
    runs = [train(**options(data, tmp_path, name=f"given{count}", workers=count, **flags)) for count in (0, 1, 2)]
    assert [trainer.train_loader.num_workers for trainer in runs] == [0, 1, 2]  # as asked for
    monkeypatch.setattr("engine.datasets.loader.room_for", lambda *_: (2, ""))
    monkeypatch.setattr("engine.datasets.loader_processes.wanted_count", lambda now, times: now + 1)
    monkeypatch.setattr("engine.training.trainer.first_count", lambda most, device: 0)
    chosen = options(data, tmp_path, name="chosen", **flags)
    del chosen["workers"]
    runs.append(train(**chosen))
    assert runs[-1].train_loader.num_workers == 2  # none, one, two
    expected, *others = (trainer.model.state_dict() for trainer in runs)
    for found in others:
        assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.parametrize(
    ("precision", "device", "amp"), [("bf16", "cuda", "bf16"), ("fp16", "cuda", True), ("fp32", "cuda", False)]
)
def test_the_batch_size_is_tried_in_the_precision_of_training(precision, device, amp, monkeypatch):
    tried = []
    trainer = DetectorTrainer.__new__(DetectorTrainer)
    trainer.precision, trainer.device = Precision(precision, ""), torch.device(device)
    trainer.amp, trainer.args = False, SimpleNamespace(amp=False)  # as stock has decided
    monkeypatch.setattr(DetectionTrainer, "auto_batch", lambda self: tried.append(self.args.amp) or 4)
    assert trainer.auto_batch() == 4
    assert tried == [amp]


def stateful(scaler):
    """A trainer of which `restore` puts back the optimizer and the scaler."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    stopper = SimpleNamespace()
    return SimpleNamespace(model=model, optimizer=optimizer, scaler=scaler, stopper=stopper)


def test_a_run_without_a_scaler_goes_on_with_one():
    trainer = stateful(torch.amp.GradScaler("cpu", init_scale=8.0, enabled=True))
    training = {
        "live": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": torch.amp.GradScaler("cpu", enabled=False).state_dict(),
        "ema_updates": 3,
        "best_fitness": 0.5,
        "stopper": {},
        "results": [],
    }
    training["optimizer"]["param_groups"][0]["fused"] = True  # as it was on another device
    restore(trainer, {"training": training, "weights": trainer.model.state_dict()})
    assert trainer.scaler.get_scale() == 8.0
    assert trainer.ema.updates == 3
    assert trainer.optimizer.param_groups[0]["fused"] is None


@pytest.mark.slow
def test_a_compiled_model_trains_and_is_saved_as_a_plain_one(data, tmp_path, monkeypatch):
    modes = []

    def compiled(model, device, mode):
        modes.append(mode)
        return torch.compile(model, backend="eager") if mode else model

    monkeypatch.setattr("ultralytics.engine.trainer.attempt_compile", compiled)
    plain = train(**options(data, tmp_path, epochs=1, name="plain"))
    trainer = train(**options(data, tmp_path, epochs=1, name="compiled", compile=True))
    assert modes == [False, True]
    assert type(trainer.model).__name__ == "OptimizedModule"
    state, expected = (read_checkpoint(one.last)["weights"] for one in (trainer, plain))
    assert list(state) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-3, atol=1e-5)


def test_compiling_is_for_one_process(monkeypatch):
    from engine.runtime.distributed import ProcessRank
    from engine.training.run import _run_in_process

    monkeypatch.setattr("engine.training.run._fill_in", lambda options: None)
    flags = train_parser().parse_args(["--compile", "--cfg", "yolov5n", "--weights", ""])
    with pytest.raises(UsageError, match="--compile: works in one process"):
        _run_in_process(flags, ProcessRank(world=2), "cpu")
