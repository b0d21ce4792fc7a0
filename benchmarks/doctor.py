"""Measure throughput and memory of the doctor on a made-up COCO set, by default of the size of train2017.

    python benchmarks/doctor.py [--images 118287 --width 64 --height 48]

Images of 64×48 px show what the bookkeeping costs at that number; --images 2000 --width 640 --height 480 what
decoding does. All files lie in a temporary folder (a gigabyte by default) and are removed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BOXES, CLASSES = 7.27, 80  # an image, in train2017: 860,001 boxes in 118,287 images
OUTLINE = 22  # points, as many as make the JSON 450 MB


def make_set(root: Path, images: int, width: int, height: int) -> int:
    """Write images and a COCO JSON with outlines; return the size of the JSON in bytes."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    ground = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2)
    objects = 0
    with (root / "instances.json").open("w") as file:
        rows = [{"id": i, "file_name": f"{i:012d}.jpg", "width": width, "height": height} for i in range(images)]
        categories = [{"id": k + 1, "name": f"class {k}"} for k in range(CLASSES)]
        file.write(f'{{"images": {json.dumps(rows)}, "categories": {json.dumps(categories)}, "annotations": [')
        for number in range(images):
            image = np.roll(ground, number, 1)
            image[:2, :16] = np.unpackbits(np.array([number], ">u4").view(np.uint8))[:, None].reshape(2, 16, 1) * 255
            cv2.imwrite(str(root / "images" / f"{number:012d}.jpg"), image)
            for _ in range(rng.poisson(BOXES)):
                w, h = rng.random(2) * [width, height] / 2 + 1
                x, y = rng.random(2) * [width - w, height - h]
                row = {"id": objects, "image_id": number, "category_id": int(rng.integers(1, CLASSES + 1))}
                outline = (rng.random((OUTLINE, 2)) * [w, h] + [x, y]).ravel().round(2).tolist()
                more = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "segmentation": [outline]}
                file.write(f"{',' if objects else ''}{json.dumps(row | more)}")
                objects += 1
        file.write("]}")
    (root / "data.yaml").write_text("format: coco\ntrain: {images: images, annotations: instances.json}\n")
    return (root / "instances.json").stat().st_size


def main() -> None:
    """Make the set, let the doctor examine it in a process of its own, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--height", type=int, default=48)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = make_set(Path(folder), args.images, args.width, args.height)
        print(f"{args.images} images of {args.width}×{args.height} px, JSON of {size / 1e6:.0f} MB", flush=True)
        command = [sys.executable, "-m", "data.doctor", str(Path(folder) / "data.yaml"), "--json", f"{folder}/r.json"]
        environment = {**os.environ, "YOLO_ATTENTION_CACHE": f"{folder}/cache"}
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{seconds:.0f} s, {args.images / seconds:.0f} images/s")
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor, at most {used.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
