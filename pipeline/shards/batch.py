"""A batch on the training device, and how samples become one."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from pipeline.sample import VIEWS, Flow, Sample

UNIT = (torch.arange(256, dtype=torch.float32) / 127.5 - 1).numpy()  # a byte in [-1, 1]


@dataclass
class Batch:
    """N samples of one domain; what was not asked for is None. All maps lie on one device."""

    domain: str  # "source", "target": names the streams that augmentation draws from
    keys: list[str]
    positions: np.ndarray  # int64 (N,), places in the training order: what is drawn for a sample depends on them alone
    image: Tensor | None = None  # float32 N3HW in [-1, 1]
    paired: Tensor | None = None  # the same
    label: Tensor | None = None  # int64 NHW trainIds, 255 = ignore
    instance: Tensor | None = None  # int64 NHW
    depth: Tensor | None = None  # float32 N1HW metres, inf = sky
    flow: Tensor | None = None  # float32 N2HW pixels (u to the right, v down)
    flow_valid: Tensor | None = None  # bool N1HW
    flow_back: Tensor | None = None
    flow_back_valid: Tensor | None = None
    category: Tensor | None = None  # int64 N, of single pictures, where their meta was read and tells it
    inside: Tensor | None = None  # bool N1HW, False where a crop reached beyond the picture; None: nowhere

    def __len__(self) -> int:
        return len(self.keys)


def collate(samples: Sequence[Sample], domain: str, positions: np.ndarray, device: torch.device | str = "cpu") -> Batch:
    """Stack samples of one size. Bytes are moved and become floats on the device, which is four times less to move."""
    batch = Batch(domain, [sample.key for sample in samples], positions)
    for part in VIEWS:
        if getattr(samples[0], part) is not None:
            setattr(batch, part, _pictures([getattr(sample, part) for sample in samples], device))
    if "category" in samples[0].meta:
        batch.category = torch.tensor([sample.meta["category"] for sample in samples], device=device)
    if samples[0].label is not None:
        batch.label = _ids([sample.label for sample in samples], device)
    if samples[0].instance is not None:
        batch.instance = _ids([sample.instance for sample in samples], device)
    if samples[0].depth is not None:
        batch.depth = _stack([sample.depth for sample in samples], device)[:, None]
    if samples[0].flow is not None:
        batch.flow, batch.flow_valid = _flows([sample.flow for sample in samples], device)
    if samples[0].flow_back is not None:
        batch.flow_back, batch.flow_back_valid = _flows([sample.flow_back for sample in samples], device)
    return batch


def _pictures(pictures: Sequence[np.ndarray], device: torch.device | str) -> Tensor:
    """uint8 HW3 each -> float32 N3HW in [-1, 1]."""
    if torch.device(device).type != "cpu":
        return _stack(pictures, device).permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1)
    made = np.empty((len(pictures), 3, *pictures[0].shape[:2]), np.float32)  # numpy's: it asks for huge pages
    for planes, picture in zip(made, pictures, strict=True):
        for plane, channel in zip(planes, cv2.split(picture), strict=True):
            cv2.LUT(channel, UNIT, dst=plane)
    return torch.from_numpy(made)


def _ids(planes: Sequence[np.ndarray | None], device: torch.device | str) -> Tensor:
    """uint8 or uint16 HW each -> int64 NHW."""
    if torch.device(device).type == "cpu":
        return torch.from_numpy(np.stack([plane for plane in planes if plane is not None], dtype=np.int64))
    # int32 on the way: few operators know uint16
    return _stack([_wide(plane) for plane in planes], device).long()


def _stack(planes: Sequence[np.ndarray | None], device: torch.device | str) -> Tensor:
    stacked = torch.from_numpy(np.stack([plane for plane in planes if plane is not None]))
    if torch.device(device).type == "cuda":
        return stacked.pin_memory().to(device, non_blocking=True)
    return stacked.to(device)


def _wide(plane: np.ndarray | None) -> np.ndarray | None:
    return plane.astype(np.int32) if plane is not None and plane.dtype == np.uint16 else plane


def _flows(flows: Sequence[Flow | None], device: torch.device | str) -> tuple[Tensor, Tensor]:
    vectors = _stack([flow[0] for flow in flows if flow], device).permute(0, 3, 1, 2).contiguous()
    return vectors, _stack([flow[1] for flow in flows if flow], device)[:, None]
