"""The one gateway to ultralytics: nothing else imports it, and a lint rule sees to that.

ultralytics acts on import (network checks, settings files, thread count), and OpenCV and PyTorch read their limits from
the environment when they are imported; so importing any part of this package prepares the process first.
"""

from models.upstream.environment import prepare

prepare()
