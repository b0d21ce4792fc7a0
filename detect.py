"""Find objects in images, videos and streams.

python detect.py                                                           # digits in the digits' test images
python detect.py --weights yolov5n.pt --source street.mp4                  # also a folder, "*.jpg", list.txt, 0, rtsp://…
"""

import sys

from engine.cli.main import main

if __name__ == "__main__":
    sys.exit(main("detect"))
