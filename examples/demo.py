"""Go the whole way in minutes: attention into a trained detector, unchanged at first, then trained, measured and used.

make demo, or: python examples/demo.py [--epochs 3] [--out runs/demo]
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WEIGHTS = ROOT / "weights" / "yolov5n-digits.pt"
CFG = "cfg/attention/yolov5n-cbam.yaml"
SIZE = "320"


def step(text: str) -> None:
    """Announce a step."""
    print(f"\n=== {text}", flush=True)


def run(command: str, *argv: str) -> None:
    """Run one of the entry scripts and show the command that a user would type."""
    from engine.cli.main import main

    print(f"$ python {command}.py {' '.join(argv)}", flush=True)
    code = main(command, argv)
    if code:
        sys.exit(code)


def compare_start(out: Path) -> None:
    """Show that CBAM with an identity start leaves the detector as it is.

    Raises:
        SystemExit: if a single number differs.
    """
    from engine.validation.run import validate
    from models import Detector, build_model

    plain = build_model(str(WEIGHTS), nc=10, weights=WEIGHTS)
    attended = build_model(CFG, nc=10, weights=WEIGHTS, identity=True)
    print(attended.transfer_report.summary())

    def validated(model: Detector, name: str) -> dict[str, float]:
        return validate(model, data="digits", imgsz=int(SIZE), noplots=True, project=str(out), exist_ok=True, name=name)

    before, after = validated(plain, "val-plain"), validated(attended, "val-with-cbam")
    if before != after:
        sys.exit("with an identity start, CBAM changed the validation; this should be impossible")
    print("Every number of the validation is the same with CBAM placed: it starts as the identity.")


def main() -> None:
    """Run all steps and say where everything is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", default="3")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "demo")
    options = parser.parse_args()
    out, start = options.out.resolve(), time.monotonic()
    output = ("--project", str(out), "--exist-ok")

    step("1  The committed YOLOv5n, with CBAM put after the three maps that its head reads")
    compare_start(out)
    step("2  Train it")
    run(
        *("train", "--cfg", CFG, "--weights", str(WEIGHTS.relative_to(ROOT)), "--identity", "--data", "digits"),
        *("--hyp", "digits-finetune", "--img", SIZE, "--epochs", options.epochs, "--name", "train", *output),
    )
    best = str(out / "train" / "weights" / "best.pt")
    step("3  Measure it on the validation split")
    run("val", "--weights", best, "--data", "digits", "--img", SIZE, "--name", "val", *output)
    step("4  Find digits in an image and in a video")
    from data.digits import write_video

    video = out / "digits.mp4"
    write_video(video)
    image = str(ROOT / "datasets" / "digits" / "images" / "test" / "0000.jpg")
    for source, name in ((image, "image"), (str(video), "video")):
        run("detect", "--weights", best, "--source", source, "--img", SIZE, "--name", name, *output)
    step(f"Done in {time.monotonic() - start:.0f} s")
    print(f"curves   {out / 'train' / 'results.png'}\ntable    {out / 'val' / 'metrics.json'}")
    print(f"image  {out / 'image' / '0000.jpg'}\nvideo    {out / 'video' / 'digits.mp4'}")


if __name__ == "__main__":
    main()
