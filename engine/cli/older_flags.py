"""Flags of older YOLOv5 releases and of YOLOv7, and what does their job here. No heavy imports."""

TRAIN_V5 = {
    "--adam": "use --optimizer Adam",
    "--notest": "use --noval",
    "--linear-lr": "leave it out: the schedule is linear unless --cos-lr is given",
    "--cache-images": "use --cache",
    "--save_period": "use --save-period",
    "--logdir": "use --project",
    "--log-imgs": "set YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--log-artifacts": "set YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--total-batch-size": "--batch-size is that of all processes together",
    "--global_rank": "torchrun sets RANK by itself; leave it out",
}
TRAIN_V7 = {
    "--v5-metric": "leave it out: mAP is computed as COCO does, see docs/metrics.md",
}
VAL_V5 = {
    "--save-dir": "use --project and --name",
    "--merge": "leave it out: boxes are suppressed, not merged",
}
VAL_V7 = {
    "--no-trace": "leave it out: nothing is traced here",
    "--v5-metric": "leave it out: mAP is computed as COCO does, see docs/metrics.md",
}
DETECT_V5 = {
    "--output": "use --project and --name",
    "--save-dir": "use --project and --name",
    "--save-img": "leave it out: images are saved unless --nosave is given",
}
DETECT_V7 = {"--no-trace": "leave it out: nothing is traced here"}
EXPORT_V5 = {
    "--cache": "leave it out: TensorRT keeps no timings between exports",
    "--verbose": "leave it out: it made TensorRT's builder talk",
    "--per-tensor": "leave it out: weights of 8 bits are scaled by channel",
    "--optimize": "leave it out: it prepared TorchScript for phones",
    "--inplace": "leave it out: exported models are written without in-place operations where they need it",
    "--train": "leave it out: exported models are for detection",
    "--keras": "use --include tflite",
    "--workspace": "leave it out: TensorRT chooses it",
    "--agnostic-nms": "give it to detect.py",
    "--topk-per-class": "give --max-det to detect.py",
    "--topk-all": "give --max-det to detect.py",
    "--iou-thres": "give it to detect.py, or use --nms",
    "--conf-thres": "give it to detect.py, or use --nms",
}
EXPORT_V7 = {
    "--grid": "leave it out: boxes are decoded in every exported file",
    "--end2end": "use --nms",
    "--include-nms": "use --nms",
    "--max-wh": "use --nms",
    "--fp16": "use --half",
    "--dynamic-batch": "use --dynamic",
}
