"""Fourier domain adaptation: the low-frequency amplitudes of a random target picture (Yang and Soatto, CVPR 2020).

The phase, which carries the layout, stays; the amplitudes in a centred square of half side `beta` times the shorter
side are swapped (eq. 3).
"""

from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import Field

from pipeline.params import Parameters

ABILITY = "rival"
USES_TARGET_LABELS = False
BLOCKS = ("fourier",)


class Settings(Parameters):
    beta: Annotated[float, Field(gt=0, le=0.5)] = 0.01  # half side of the swapped square, in shorter sides


def translate_picture(image: np.ndarray, reference: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """Source picture (H, W, 3) uint8 with the low-frequency amplitudes of `reference` (h, w, 3) uint8."""
    height, width = image.shape[:2]
    if reference.shape[:2] != (height, width):
        reference = cv2.resize(reference, (width, height), interpolation=cv2.INTER_AREA)
    source, target = (np.fft.fft2(picture.astype(np.float64), axes=(0, 1)) for picture in (image, reference))
    reach = int(min(height, width) * Settings(**params["fourier"]).beta)
    near = [np.minimum(np.arange(n), n - np.arange(n)) <= reach for n in (height, width)]
    low = (near[0][:, None] & near[1])[..., None]
    amplitude = np.where(low, np.abs(target), np.abs(source))
    mixed = np.fft.ifft2(amplitude * np.exp(1j * np.angle(source)), axes=(0, 1)).real
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
