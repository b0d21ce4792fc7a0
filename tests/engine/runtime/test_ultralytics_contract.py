"""What ultralytics must look like for our patches and subclasses: says whether another release can be adopted."""

import importlib
import inspect
import json
import os
import sys
from pathlib import Path

import torch
import ultralytics
from PIL import Image
from ultralytics.engine import model, trainer, validator
from ultralytics.engine.exporter import Exporter
from ultralytics.models.yolo.detect import DetectionPredictor, DetectionTrainer, DetectionValidator
from ultralytics.nn import tasks
from ultralytics.utils import SETTINGS, nms, patches, torch_utils
from ultralytics.utils.callbacks.base import add_integration_callbacks
from ultralytics.utils.events import events
from ultralytics.utils.export.onnx import onnx_int8_quantize

import engine.validation.validator  # noqa: F401 - puts our suppression in place
from engine.export.quantization import quantize_onnx
from models.upstream import environment, layers
from models.upstream import patches as ultralytics_patches


def source(thing):
    return inspect.getsource(thing)


def test_version():
    assert ultralytics.__version__ == ultralytics_patches.SUPPORTED


def test_settings_file_has_the_schema_that_ultralytics_expects():
    written = json.loads((environment.cache_folder() / "Ultralytics" / "settings.json").read_text())
    assert set(written) == set(SETTINGS.defaults)
    assert written["settings_version"] == SETTINGS.version
    assert {key: type(value) for key, value in written.items()} == {k: type(v) for k, v in SETTINGS.defaults.items()}


def test_nothing_is_sent_anywhere():
    assert SETTINGS["sync"] is False
    assert events.enabled is False
    assert not any(SETTINGS[name] for name in environment.REMOTE_LOGGERS)
    assert sys.modules["openvino_telemetry"] is None  # its import fails, and OpenVINO takes its stub instead
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_onnxruntime_still_has_the_switch_for_what_it_sends():
    import onnxruntime

    libraries = list(Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*"))
    assert libraries
    for library in libraries:
        content = library.read_bytes()
        assert b"events.data.microsoft.com" not in content or b"ORT_DISABLE_TELEMETRY" in content


def test_checkpoints_are_loaded_through_the_replaced_name():
    for module in (tasks, trainer, model):
        assert module.load_checkpoint is ultralytics_patches._load_checkpoint
    from ultralytics.nn.backends.pytorch import PyTorchBackend

    assert "from ultralytics.nn.tasks import BaseModel, load_checkpoint" in source(PyTorchBackend.load_model)


def test_nms_is_looked_up_where_it_is_replaced():
    assert nms.non_max_suppression.__module__ == "engine.ops.nms_torch"
    for method in (DetectionValidator.postprocess, DetectionPredictor.postprocess):
        assert "nms.non_max_suppression(" in source(method)


def test_stock_nms_still_takes_what_ours_hands_on():
    from engine.ops.nms_torch import stock

    taken = set(inspect.signature(stock).parameters)
    assert taken >= {"conf_thres", "iou_thres", "classes", "agnostic", "multi_label", "max_det", "nc", "max_time_img"}


def test_threads_survive_the_choice_of_a_device():
    torch_utils.select_device("cpu", verbose=False)
    assert torch.get_num_threads() == environment.threads()


def test_pillow_opens_files_itself():
    assert Image.open is patches._image_open
    assert Image.open.__module__ == "PIL.Image"


def test_pillow_opens_files_itself_where_only_models_are_built(monkeypatch):
    monkeypatch.setattr(Image, "open", patches.image_open)
    importlib.reload(layers)
    assert Image.open is patches._image_open


def test_validator_reads_the_data_set_through_the_name_that_we_swap():
    assert "check_det_dataset(self.args.data" in source(validator.BaseValidator.__call__)
    before = validator.check_det_dataset
    with ultralytics_patches.dataset_described_by({"nc": 3}):
        assert validator.check_det_dataset("anything", split="val") == {"nc": 3}
    assert validator.check_det_dataset is before


def test_eight_bits_go_through_the_names_that_we_replace():
    assert "from ultralytics.utils.export.onnx import onnx_int8_quantize" in source(Exporter)
    assert list(inspect.signature(quantize_onnx).parameters)[:4] == ["source", "target", "images", "prepare"]
    assert list(inspect.signature(onnx_int8_quantize).parameters)[:4] == [
        "onnx_file",
        "output_file",
        "dataset",
        "transform_fn",
    ]
    assert source(Exporter).count("self.get_int8_calibration_dataloader(prefix)") >= 3  # ONNX, OpenVINO, TensorRT


def test_trainer_calls_the_methods_that_we_override_in_the_order_that_we_rely_on():
    loop = source(trainer.BaseTrainer._do_train)
    order = [
        "acc0 = self.accumulate",
        "self._model_train()",
        "enumerate(self.train_loader)",
        "self.preprocess_batch(batch)",
    ]
    order += ["self.optimizer_step()", "self.validate()", "self._handle_nan_recovery(epoch)", "self.save_metrics("]
    order += ["self.save_model()", "self.final_eval()"]
    places = [loop.index(text) for text in order]
    assert places == sorted(places)
    setup = source(trainer.BaseTrainer._setup_train)
    order = ["self.setup_model()", "self.set_model_attributes()", "self.scaler = ", "self._build_train_pipeline()"]
    order += ["ModelEMA(self.model)", "self.resume_training(ckpt)"]
    places = [setup.index(text) for text in order]
    assert places == sorted(places)


def test_warmup_gives_bias_groups_a_rate_of_their_own():
    assert 'x.get("param_group") == "bias"' in source(trainer.BaseTrainer._do_train)


def test_cpu_autocast_is_bfloat16():
    with torch_utils.autocast(True, device="cpu"):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16


def test_recovery_from_divergence_goes_through_our_state():
    text = source(trainer.BaseTrainer._handle_nan_recovery)
    assert 'ckpt["ema"].float()' in text
    assert "self._load_checkpoint_state(ckpt)" in text


def test_loggers_are_added_by_the_class_name():
    from engine.training.trainer import DetectorTrainer

    assert '"Trainer" in instance.__class__.__name__' in source(add_integration_callbacks)
    assert "Trainer" in DetectorTrainer.__name__


def test_trainer_deletes_an_old_table_which_we_write_anew():
    assert "self.csv.unlink()" in source(trainer.BaseTrainer.__init__)


def test_trainer_validates_the_average_itself():
    assert "trainer.ema.ema if trainer is not None else deepcopy(model)" in source(validator.BaseValidator.get_model)
    assert issubclass(DetectionTrainer, trainer.BaseTrainer)
