"""OpenCV limited to one core: several worker processes run, each with its own core."""

from __future__ import annotations

import cv2

__all__ = ["cv2"]

cv2.setNumThreads(1)
