"""Flags of train.py: YOLOv5's names and defaults, and our own. No heavy imports."""

from engine.cli.older_flags import TRAIN_V5, TRAIN_V7
from engine.cli.parser import (
    OneNumber,
    Parser,
    add_attention_flags,
    add_data_flags,
    add_image_size_flag,
    add_model_flags,
    add_run_flags,
    add_slice_flags,
    any_case,
    any_int,
    batch_size_or_auto,
    fraction,
    non_negative_int,
    positive_float,
    positive_int,
    seed_int,
)

# Flags of YOLOv5 that mean nothing here, and what does the job instead.
TRAIN_REPLACED = TRAIN_V5 | {
    "--evolve": "compare hyperparameter files with study.py",
    "--evolve_population": "compare hyperparameter files with study.py",
    "--resume_evolve": "compare hyperparameter files with study.py",
    "--bucket": "copy runs/ with your own tool; nothing is uploaded from here",
    "--image-weights": "--oversample 0.1 repeats images of rare classes, --class-weights 1 weighs those in the loss",
    "--quad": "use a larger --imgsz or --batch-size",
    "--entity": "set WANDB_ENTITY, and YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--upload_dataset": "nothing is uploaded from here; leave it out",
    "--bbox_interval": "set YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--artifact_alias": "set YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--local_rank": "leave it out, and start by torchrun, which sets LOCAL_RANK, not by torch.distributed.launch",
    "--ndjson-console": "read results.csv in the run folder",
    "--ndjson-file": "read results.csv in the run folder",
}


def train_parser() -> Parser:
    """Return the parser of train.py."""
    parser = Parser(
        prog="train.py",
        description="Train a detector. Without any argument: fine-tune yolov5n on the digits for a few epochs.",
        replaced=TRAIN_REPLACED,
        replaced_v7=TRAIN_V7,
    )
    add_model_flags(
        parser, "start from this checkpoint (ours, or an official YOLOv5/YOLOv7 .pt); '' starts from scratch"
    )
    add_data_flags(parser)
    group = add_attention_flags(parser)
    group.add_argument(
        "--train-only", type=any_case("attention"), choices=["attention"], default=None, help="freeze everything else"
    )
    group.add_argument(
        "--attention-lr",
        type=positive_float,
        default=1.0,
        metavar="FACTOR",
        help="learning rate of attention, relative",
    )
    group.add_argument(
        "--strict-transfer", action="store_true", help="stop unless every unchanged tensor is taken over"
    )
    group.add_argument(
        "--transfer-report", default=None, metavar="FILE", help="write what became of every tensor, as JSON"
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--hyp",
        default=None,
        metavar="YAML",
        help="hyperparameters: a file, or a name in cfg/hyp/ (default: v5-low; for heads of ultralytics: ultralytics)",
    )
    group.add_argument(
        "--epochs", type=positive_int, default=100, help="passes over the training images; with --resume: more of them"
    )
    group.add_argument(
        "--batch-size",
        "--batch",
        type=batch_size_or_auto,
        default=16,
        help="images a step, of all processes together; -1 fits the memory",
    )
    add_image_size_flag(group, 640, "pixels of the longer side", OneNumber)
    add_slice_flags(group, "trained on, and validated on")
    group.add_argument(
        "--slice-visible",
        type=fraction,
        default=0.25,
        metavar="PART",
        help="of a box's area that a window must show for the box to be a label there",
    )
    group.add_argument("--rect", action="store_true", help="rectangular batches: less padding, no mosaic, no shuffling")
    group.add_argument(
        "--resume", nargs="?", const=True, default=False, metavar="FILE", help="continue the latest run, or FILE"
    )
    group.add_argument(
        "--cache",
        nargs="?",
        const="ram",
        type=any_case("auto", "ram", "off"),
        choices=["auto", "ram", "off"],
        default=None,
        help="ram keeps images in memory, off never does, auto (the default) where they fit easily",
    )
    group.add_argument("--multi-scale", action="store_true", help="vary the size of each batch by 50 %%")
    optimizers = ["SGD", "Adam", "AdamW"]
    group.add_argument(
        "--optimizer", type=any_case(*optimizers), choices=optimizers, default="SGD", help="as in YOLOv5"
    )
    group.add_argument(
        "--oversample",
        type=fraction,
        default=0.0,
        metavar="THRESHOLD",
        help="repeat images of classes that fewer than this part of the images show (LVIS's factors); 0 repeats none",
    )
    group.add_argument(
        "--class-weights",
        nargs="?",
        const=1.0,
        type=fraction,
        default=0.0,
        metavar="POWER",
        help="weigh classes in the loss by their inverse count to this power (ultralytics' cls_pw); 0 does not",
    )
    group.add_argument("--cos-lr", action="store_true", help="cosine learning rate instead of linear")
    group.add_argument("--label-smoothing", type=fraction, default=0.0, help="0 takes labels as certain")
    group.add_argument(
        "--patience",
        type=non_negative_int,
        default=100,
        help="epochs without a better result before stopping; 0 never stops",
    )
    group.add_argument(
        "--freeze",
        nargs="+",
        type=non_negative_int,
        default=[0],
        help="leave rows of the base untrained: one number the first N, several those rows (default: none)",
    )
    group.add_argument(
        "--save-period", type=any_int, default=-1, help="keep a checkpoint every N epochs too (default: none)"
    )
    group.add_argument("--seed", type=seed_int, default=0, help="of everything random (default: 0)")
    group.add_argument(
        "--workers",
        type=non_negative_int,
        default=8,
        help="loader processes (default: as many as help, by how long steps wait)",
    )
    kinds = ["auto", "off", "bf16", "fp16"]
    group.add_argument("--amp", type=any_case(*kinds), choices=kinds, default="auto", help="arithmetic of training")
    group.add_argument(
        "--compile", action="store_true", help="compile the model by torch.compile: minutes at first, then faster steps"
    )
    group.add_argument(
        "--sync-bn", action="store_true", help="with torchrun on GPUs: batch statistics over all processes"
    )
    group.add_argument("--noautoanchor", action="store_true", help="keep the anchors of the model")
    group.add_argument("--noval", action="store_true", help="validate the last epoch only")
    group.add_argument("--nosave", action="store_true", help="write the last epoch's checkpoint only")
    group.add_argument("--noplots", action="store_true", help="draw nothing")
    group.add_argument("--pdf", action="store_true", help="write curves and the confusion matrix as PDF too")
    add_run_flags(parser, "train")
    return parser
