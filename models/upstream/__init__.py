"""The one gateway to ultralytics."""
