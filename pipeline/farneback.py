"""Farneback's optical flow and its parameters (Farneback 2003), as OpenCV computes it."""

import cv2
import numpy as np
from pydantic import Field

from pipeline.files import UserError
from pipeline.params import Parameters


class FlowSettings(Parameters):
    """Farneback's parameters under OpenCV's names, and those of the forward-backward check."""

    pyr_scale: float = Field(default=0.5, gt=0, lt=1)  # each level of the pyramid is this much smaller
    levels: int = Field(default=3, ge=1, le=12)  # reach doubles with each
    winsize: int = Field(default=15, ge=3, le=255)  # pixels averaged: larger is smoother and blurs edges
    iterations: int = Field(default=3, ge=1, le=50)  # at each level
    poly_n: int = Field(default=5, ge=3, le=15)  # neighbourhood of the polynomial: 5 or 7 are usual
    poly_sigma: float = Field(default=1.2, gt=0)  # 1.1 to 1.2 go with 5, 1.5 with 7
    consistency_alpha: float = Field(default=0.01, ge=0)  # see `consistent`
    consistency_beta: float = Field(default=0.5, ge=0)  # square pixels


def farneback(a: np.ndarray, b: np.ndarray, settings: FlowSettings) -> np.ndarray:
    """Flow (H, W, 2) float32, in pixels, from RGB uint8 `a` to `b` (Farneback 2003)."""
    if a.shape != b.shape:
        raise UserError(f"flow needs two pictures of one size, not {a.shape[1::-1]} and {b.shape[1::-1]}")
    s = settings
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (a, b)]
    start = np.zeros((*a.shape[:2], 2), np.float32)
    return cv2.calcOpticalFlowFarneback(
        grey[0], grey[1], start, s.pyr_scale, s.levels, s.winsize, s.iterations, s.poly_n, s.poly_sigma, 0
    )
