"""Compare variants of a detector: does attention help, and what does it cost?

python study.py cfg/study/digits-quick.yaml --dry-run      # runs, sizes and the expected time
python study.py cfg/study/digits-quick.yaml                # train, measure, report; a second start goes on
python study.py cfg/study/digits-quick.yaml --report       # the report of what is done so far
"""

import sys

from study.cli import main

if __name__ == "__main__":
    sys.exit(main())
