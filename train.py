"""Train a detector, with or without attention.

python train.py                                                            # a few epochs on the digits
python train.py --weights yolov5n.pt --data data/bccd.yaml --imgsz 320     # fine-tune on a data set
python train.py --weights yolov5n.pt --attention "CBAM@neck.P3,neck.P4,neck.P5" --identity --data my.yaml
python train.py --resume                                                   # continue the latest run
"""

import sys

from engine.cli.main import main

if __name__ == "__main__":
    sys.exit(main("train"))
