"""Measure what a variant costs: parameters, operations, latency measured in turns, and how long training will take."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import torch

from attention.flops import count_flops
from engine.runtime.devices import device_name, memory_format
from engine.training.precision import choose
from models import build_model
from models.network.cost import count_parameters
from models.spec.model_spec import ModelSpec
from study.plan.run import content_hash, read_json, write_json

WARM_UP = 3  # untimed passes of each model
PROBE_BATCH, PROBE_STEPS = 8, 3
OBJECTS = 5  # an image of the probe
DISTURBED = 0.3  # distance of the quartiles, of the median, from which timing is not to be trusted


@dataclass(frozen=True)
class Cost:
    """Cost of one variant.

    Attributes:
        parameters: of the model as it is trained.
        flops: of one image through the fused model, 2 for each multiplication with addition. Counted at torch's
            dispatcher: convolutions, matrix products and attention kernels; pooling and element-wise operations are
            not counted.
        latency_ms: of one image through the fused model, one value a round.
    """

    parameters: int
    flops: int
    latency_ms: tuple[float, ...] = ()


def added_latency(cost: Cost, base: Cost) -> float:
    """Return the median over rounds of what a variant takes longer than the baseline, in milliseconds."""
    return median(mine - other for mine, other in zip(cost.latency_ms, base.latency_ms, strict=True))


def quartiles(cost: Cost) -> tuple[float, float]:
    """Return the lower and the upper quartile of the latency, in milliseconds."""
    low, high = np.quantile(cost.latency_ms, [0.25, 0.75])
    return float(low), float(high)


def disturbed(cost: Cost) -> bool:
    """Tell whether other work on the machine was in the way: the latency's quartiles are far apart."""
    low, high = quartiles(cost)
    return high - low > DISTURBED * median(cost.latency_ms)


def parameters_and_flops(model: Any, imgsz: int) -> tuple[int, int]:
    """Count a detector's parameters as it is, and the operations of one square image once it is fused.

    Args:
        model: the detector; it is fused and left in eval mode.
        imgsz: pixels of each side.
    """
    parameters = count_parameters(model)
    fused = model.eval().fuse(verbose=False)
    return parameters, count_flops(fused, torch.zeros(1, 3, imgsz, imgsz))


def measure_costs(
    models: Mapping[str, ModelSpec], imgsz: int, rounds: int, device: str, file: Path
) -> tuple[dict[str, Cost], dict[str, Any]]:
    """Measure all variants, latency in turns so that drift of the machine falls on all alike.

    Args:
        models: variant → model.
        imgsz: pixels of each side.
        rounds: each times every model once, in an order drawn anew.
        device: "cpu", or a GPU's number.
        file: where the numbers are kept; they are measured again when models, size, rounds or machine change, or
            when they were `disturbed`.

    Returns:
        variant → cost, and how it was measured.
    """
    where = torch.device(f"cuda:{device}" if device.isdigit() else device or "cpu")
    machine = "CPU" if where.type == "cpu" else device_name(where)
    setting = {"imgsz": imgsz, "rounds": rounds, "device": machine, "threads": torch.get_num_threads()}
    key = content_hash(
        [{name: dict(spec.yaml) for name, spec in models.items()}, setting, device_name(where), torch.__version__]
    )
    known = read_json(file)
    if known is not None and known.get("key") == key:
        costs = {
            name: Cost(value["parameters"], value["flops"], tuple(value["latency_ms"]))
            for name, value in known["costs"].items()
        }
        if not disturbed(costs[next(iter(models))]):
            return costs, setting
    built, counts = {}, {}
    for name, spec in models.items():
        model = build_model(spec.yaml)
        counts[name] = parameters_and_flops(model, imgsz)
        built[name] = model.to(where).to(memory_format=memory_format(where))
    latency = interleaved(built, torch.rand(1, 3, imgsz, imgsz, device=where), rounds)
    costs = {name: Cost(*counts[name], tuple(latency[name])) for name in models}
    write_json(file, {"key": key, "setting": setting, "costs": {name: asdict(cost) for name, cost in costs.items()}})
    return costs, setting


def interleaved(models: Mapping[str, Any], image: torch.Tensor, rounds: int) -> dict[str, list[float]]:
    """Time each model once a round, in an order drawn anew each time.

    Args:
        models: name → module in eval mode.
        image: (1, 3, H, W), on their device.
        rounds: number of times.

    Returns:
        name → milliseconds, one a round.
    """
    image = image.contiguous(memory_format=memory_format(image.device))
    order, random = list(models), Random(0)  # noqa: S311 - an order, no secret
    times: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for name in order:
            for _ in range(WARM_UP):
                models[name](image)
        for _ in range(rounds):
            random.shuffle(order)
            for name in order:
                _settle(image.device)
                started = time.perf_counter()
                models[name](image)
                _settle(image.device)
                times[name].append(1000 * (time.perf_counter() - started))
    return times


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type != "cpu":  # mps, xpu, npu
        getattr(torch, device.type).synchronize()


def probe_seconds(spec: ModelSpec, options: Mapping[str, Any], device: str) -> tuple[float, float]:
    """Time training and validation of one variant on made-up images.

    Args:
        spec: the model.
        options: of train.py: imgsz, batch_size, amp.
        device: "cpu", or a GPU's number.

    Returns:
        Seconds an image in training (forward, loss, backward, step) and in validation. Reading and augmenting
        images is left out: a few percent at usual sizes.
    """
    where = torch.device(f"cuda:{device}" if device.isdigit() else device or "cpu")
    model = build_model(spec.yaml).to(where).to(memory_format=memory_format(where)).train()
    size, precision = options["imgsz"], choose(options["amp"], where)
    batch = min(options["batch_size"], PROBE_BATCH) if options["batch_size"] > 0 else PROBE_BATCH
    content = _batch(batch, size, len(model.names), where)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    half = torch.float16 if precision.name == "fp16" else torch.bfloat16

    def step() -> None:
        with torch.autocast(where.type, dtype=half, enabled=precision.half):
            total, _ = model.loss(content)
        total.sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    def look() -> None:
        with torch.inference_mode():
            model(content["img"])

    seconds = []
    for act, mode in ((step, True), (look, False)):
        model.train(mode)
        act()
        fastest = math.inf  # what other work on the machine adds would give one variant fewer epochs than another
        for _ in range(PROBE_STEPS):
            _settle(where)
            started = time.perf_counter()
            act()
            _settle(where)
            fastest = min(fastest, time.perf_counter() - started)
        seconds.append(fastest / batch)
    return seconds[0], seconds[1]


def _batch(images: int, size: int, classes: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Return a training batch of noise with a few boxes."""
    draw = torch.Generator().manual_seed(0)
    objects = images * OBJECTS
    centers = 0.3 + 0.4 * torch.rand(objects, 2, generator=draw)
    sizes = 0.1 + 0.3 * torch.rand(objects, 2, generator=draw)
    batch = {
        "img": torch.rand(images, 3, size, size, generator=draw).contiguous(memory_format=memory_format(device)),
        "batch_idx": torch.arange(images).repeat_interleave(OBJECTS).float(),
        "cls": torch.randint(0, classes, (objects, 1), generator=draw).float(),
        "bboxes": torch.cat((centers, sizes), 1),
    }
    return {key: value.to(device) for key, value in batch.items()}


def epoch_seconds(spec: ModelSpec, options: Mapping[str, Any], sizes: Mapping[str, int], device: str) -> float:
    """Estimate the seconds of one epoch: training, then validation.

    Args:
        spec: the model.
        options: of train.py.
        sizes: split → number of images.
        device: "cpu", or a GPU's number.
    """
    train, look = probe_seconds(spec, options, device)
    return sizes["train"] * train + sizes["val"] * look
