"""Open the playground, a page in the browser on this machine: build a model, look at it, train it, compare it.

python app.py                                                              # http://127.0.0.1:8080
python app.py --allow ~/datasets --port 9000                               # data and weights of another folder too
"""

import sys

from playground.cli import main

if __name__ == "__main__":
    sys.exit(main())
