"""Write the deploy form of a checkpoint, or files for other runtimes; each is checked against the checkpoint.

python export.py --weights runs/train/exp/weights/best.pt --reparameterize
python export.py --weights best.pt --reparameterize --include onnx torchscript --imgsz 320
"""

import sys

from engine.cli.main import main

if __name__ == "__main__":
    sys.exit(main("export"))
