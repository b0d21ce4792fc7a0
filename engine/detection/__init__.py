"""detect.py: find objects in images, videos and streams."""
