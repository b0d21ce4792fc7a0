"""Options of `detect`, `load`, `train`, `validate` and `export_model`, with their types, for editors and type checkers.

Each is the flag of that name (`python detect.py --help` says what it does), with underscores. A test holds them equal.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict


class ModelOptions(TypedDict, total=False):
    """Where a model comes from, and what is placed on it."""

    download: bool
    cfg: str | Path
    attention: Sequence[str]
    identity: bool
    plugin: Sequence[str]
    device: str


class CallOptions(TypedDict, total=False):
    """What a loaded model may be asked differently in each call."""

    imgsz: int | Sequence[int] | None
    conf_thres: float
    iou_thres: float
    max_det: int
    classes: Sequence[int] | None
    agnostic_nms: bool
    batch_size: int
    vid_stride: int
    stretch: bool
    slice: int | None
    slice_overlap: float
    track: str | None


class DetectOptions(ModelOptions, CallOptions, total=False):
    """Options of `detect` and `load`."""

    trust: bool
    reduced_decode: bool
    data: str | Path | None
    data_root: str | Path | None
    augment: bool
    half: bool
    backend: str
    dnn: bool


class RunOptions(TypedDict, total=False):
    """Where a run is written."""

    project: str | Path
    name: str
    exist_ok: bool


class TrainOptions(ModelOptions, RunOptions, total=False):
    """Options of `train`."""

    weights: str | Path | None
    data: str | Path | None
    data_root: str | Path | None
    single_cls: bool
    stretch: bool
    reduced_decode: bool
    slice: int | None
    slice_overlap: float
    slice_visible: float
    class_weights: float
    oversample: float
    train_only: str | None
    attention_lr: float
    strict_transfer: bool
    transfer_report: str | Path | None
    hyp: str | Path | None
    epochs: int
    batch_size: int
    imgsz: int
    rect: bool
    resume: bool | str
    cache: str | None
    multi_scale: bool
    optimizer: str
    cos_lr: bool
    label_smoothing: float
    patience: int
    freeze: Sequence[int]
    save_period: int
    seed: int
    workers: int
    amp: str
    compile: bool
    sync_bn: bool
    noautoanchor: bool
    noval: bool
    nosave: bool
    noplots: bool
    pdf: bool


class ValidateOptions(ModelOptions, RunOptions, total=False):
    """Options of `validate`."""

    trust: bool
    data_root: str | Path | None
    single_cls: bool
    stretch: bool
    reduced_decode: bool
    slice: int | None
    slice_overlap: float
    batch_size: int
    imgsz: int | None
    conf_thres: float
    iou_thres: float
    max_det: int
    square: bool
    task: str
    workers: int
    augment: bool
    per_class: bool
    voc07: bool
    evaluator: str
    half: bool
    dnn: bool
    save_txt: bool
    save_conf: bool
    save_json: bool
    noplots: bool
    pdf: bool


class ExportOptions(ModelOptions, total=False):
    """Options of `export_model`."""

    reparameterize: bool
    tolerance: float
    include: Sequence[str]
    imgsz: int | Sequence[int] | None
    batch_size: int
    dynamic: bool
    opset: int | None
    simplify: bool
    nms: bool
    half: bool
    int8: bool
    data: str | Path | None
    data_root: str | Path | None
    max_drop: float
    output: str | Path | None
    study: str | Path | None
