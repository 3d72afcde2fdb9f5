"""What the codes of a sampler do, to look at: a grid with one code a row, and one swept along the columns."""

from typing import Any

import numpy as np
import torch

from pipeline.engine.model import Model

COLUMNS = 10
REACH = 2.0  # continuous codes are swept to twice of where they are drawn, as in the paper's figure 2
SEED = 0


def sheets(model: Model) -> dict[str, np.ndarray]:
    """name -> uint8 (H, W, 3). A row is a category; along the columns the noise differs, or a continuous code rises."""
    own = model.module.Settings(**model.params["infogan"])
    like = next(model.nets.parameters())
    drawn = model.module.codes(own, SEED, np.arange(COLUMNS), like)
    noise, quiet = drawn.joined[:, : own.noise], torch.zeros_like(drawn.continuous)
    made = {"noise": _grid(model, own, noise, quiet)}
    for n in range(own.continuous):
        swept = quiet.clone()
        swept[:, n] = torch.linspace(-REACH, REACH, COLUMNS)
        made[f"continuous_{n}"] = _grid(model, own, noise[:1].expand(COLUMNS, -1), swept)
    return made


def _grid(model: Model, own: Any, noise: torch.Tensor, continuous: torch.Tensor) -> np.ndarray:
    """Every category (rows) with each row of noise and continuous codes (columns)."""
    rows = own.categories
    category = torch.arange(rows, device=noise.device).repeat_interleave(len(noise))
    joined = model.module.join(own, noise.repeat(rows, 1), category, continuous.repeat(rows, 1))
    with torch.inference_mode():
        drawn = model.module.sample(model.nets, joined)[:, 0]
    pictures = ((drawn.float().cpu().numpy() + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    side = pictures.shape[-1]
    tiled = pictures.reshape(rows, -1, side, side).swapaxes(1, 2).reshape(rows * side, -1)
    return np.repeat(tiled[..., None], 3, -1)
