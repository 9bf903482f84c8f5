"""OpenCV on one core: a worker process is one of several, each with its own core to use."""

from __future__ import annotations

import cv2

__all__ = ["cv2"]

cv2.setNumThreads(1)
