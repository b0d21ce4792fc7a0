"""Backends that run a model for detection: PyTorch, ONNX Runtime, OpenVINO, or a runtime that ultralytics knows.

`engine.backends.select.open_backend` chooses; each backend is a file of its own and imported when it is used.
"""

from models.upstream.environment import prepare

prepare()  # before PyTorch and OpenCV are imported
