"""Measure a detector on a data set.

python val.py                                                              # the shipped digits weights on the digits
python val.py --weights runs/train/exp/weights/best.pt --data data/bccd.yaml --imgsz 320 --task test
"""

import sys

from engine.cli.main import main

if __name__ == "__main__":
    sys.exit(main("val"))
