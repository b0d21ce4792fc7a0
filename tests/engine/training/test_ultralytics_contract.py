"""What ultralytics' trainer and validator must look like for epochs that are repeated, and for several processes."""

import inspect

from ultralytics.engine import trainer, validator
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.detect import val as detection_validator

from models.upstream import patches as ultralytics_patches

source = inspect.getsource


def test_an_epoch_can_be_ended_between_batches_and_repeated():
    loop = source(trainer.BaseTrainer._do_train)
    order = [
        "self.optimizer_step()",
        "if self.stop:\n",
        "self.validate()",
        "self._handle_nan_recovery(epoch)",
        "continue",
    ]
    places = [loop.index(order[0])]
    for text in order[1:]:
        places.append(loop.index(text, places[-1]))
    text = source(trainer.BaseTrainer._handle_nan_recovery)
    assert "if epoch == self.start_epoch:" in text
    assert "self.nan_recovery_attempts > 3" in text
    assert "raise RuntimeError(" in text


def test_processes_are_connected_where_stock_would_not():
    setup = source(trainer.BaseTrainer._setup_train)
    assert setup.index("if self.world_size > 1:") < setup.index("self._build_train_pipeline()")
    assert "if self.world_size > 1:\n            self._setup_ddp()" in source(trainer.BaseTrainer._do_train)
    assert "self.loss *= self.world_size" in source(trainer.BaseTrainer._do_train)
    assert "self.batch_size // max(self.world_size, 1)" in source(trainer.BaseTrainer._build_train_pipeline)
    assert "dist.broadcast(buffer, src=0)" in source(trainer.BaseTrainer.validate)


def test_validator_gathers_what_other_processes_found():
    text = source(validator.BaseValidator.__call__)
    order = ["self.gather_stats()", "op=dist.ReduceOp.AVG", "v.cpu() / len(self.dataloader)"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    for name in ("RANK", "LOCAL_RANK"):
        for module in (validator, detection_validator):
            assert hasattr(module, name)
    with ultralytics_patches.single_process():
        assert validator.RANK == detection_validator.RANK == validator.LOCAL_RANK == -1


def test_progress_is_written_once_where_the_output_is_kept(monkeypatch, capsys):
    from ultralytics.utils import tqdm as progress

    ultralytics_patches.apply()
    assert progress.is_noninteractive_console is ultralytics_patches._output_is_kept
    assert trainer.select_device is validator.select_device is ultralytics_patches._select_device
    list(progress.TQDM(range(50), desc="boxes", mininterval=0, disable=False))
    text = capsys.readouterr().out
    assert text.count("boxes") == 1
    assert "50/50" in text
    assert "\r" not in text
    assert "\033" not in text
    assert trainer.colorstr("bold", "runs/exp") == "runs/exp"


def test_a_cpu_shows_the_memory_of_the_process(monkeypatch):
    import torch

    from engine.training.epoch_loop import EpochTrainer

    one = object.__new__(EpochTrainer)
    one.device, one.loss_names = torch.device("cpu"), ("box", "obj", "cls")
    assert one.progress_string().split() == ["Epoch", "RAM", "box", "obj", "cls", "Instances", "Size"]
    assert 0.05 < one._get_memory() < 100
    assert "GPU_mem" in source(trainer.BaseTrainer.progress_string) or "GPU_mem" in source(
        DetectionTrainer.progress_string
    )
