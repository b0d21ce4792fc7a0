"""Say at the end of a training how good the model is, where its files are, and what to run next."""

import shlex

from engine.runtime.log import LOGGER
from engine.training.trainer import DetectorTrainer

_FIGURES = (
    ("precision", "metrics/precision(B)"),
    ("recall", "metrics/recall(B)"),
    ("mAP50", "metrics/mAP50(B)"),
    ("mAP50-95", "metrics/mAP50-95(B)"),
)


def report_end(trainer: DetectorTrainer) -> None:
    """Say how good the best weights are, where everything is, and what to run next."""
    metrics = trainer.metrics or {}
    figures = ", ".join(f"{name} {metrics[key]:.3f}" for name, key in _FIGURES if key in metrics)
    LOGGER.info(f"best epoch {trainer.stopper.best_epoch}: {figures}")
    LOGGER.info(f"weights, results.csv and plots in {trainer.save_dir}")
    if trainer.process.rank == 0:
        LOGGER.info("\n".join(["next:", *(f"  {line}" for line in next_commands(trainer))]))


def how_to_go_on(trainer: DetectorTrainer) -> str:
    """Say what to run after an interruption: the rest of the training, or the measuring that was under way."""
    if trainer.trained:
        return f"all epochs were done, only the best weights were not measured: {next_commands(trainer)[0]}"
    return f"continue with: python train.py --resume {shlex.quote(str(trainer.last))}"


def next_commands(trainer: DetectorTrainer) -> list[str]:
    """Return the commands that measure, use and export what was trained."""
    best = trainer.best if trainer.best.exists() else trainer.last
    weights, size = shlex.quote(str(best)), trainer.args.imgsz
    options = trainer.options
    data = f"--data {shlex.quote(str(options['data']))}"
    data += f" --data-root {shlex.quote(str(options['data_root']))}" if options.get("data_root") else ""
    plugins = "".join(f" --plugin {shlex.quote(str(plugin))}" for plugin in options.get("plugin") or ())
    return [
        f"python val.py --weights {weights} {data} --img {size}{plugins}",
        f"python detect.py --weights {weights} --source IMAGES --img {size}{plugins}",
        f"python export.py --weights {weights} --include onnx --img {size}{plugins}",
    ]
