"""Readers of YOLO text, PASCAL VOC XML and COCO JSON, all into the form of records.py."""
