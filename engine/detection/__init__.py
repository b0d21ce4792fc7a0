"""Detection in images, videos and streams: what detect.py runs."""
