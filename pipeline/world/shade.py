"""Deferred shading: colour is computed once a pixel, from polygon number, depth and texture coordinates.

Colours are planar, (3, H, W) float32 and linear: NumPy broadcasts that several times faster than (H, W, 3)."""

import cv2
import numpy as np

from pipeline.files import decode_image, encode_jpeg
from pipeline.world import light, night, surface
from pipeline.world.camera import Camera
from pipeline.world.knobs import Look
from pipeline.world.materials import M
from pipeline.world.mesh import Frozen
from pipeline.world.pixels import gather
from pipeline.world.vectors import f32


def shade(
    scene: Frozen,
    camera: Camera,
    ids: np.ndarray,
    near: np.ndarray,
    uv: np.ndarray,
    t: float,
    look: Look,
    rng: np.random.Generator,
    noise: np.random.Generator,
) -> np.ndarray:
    """RGB uint8 (H, W, 3) at half the size of the (doubled) camera.

    ids, near, uv: what `raster.draw` found. rng draws the look of a drive, noise what changes from frame to frame.
    """
    seen = gather(scene, camera, ids, near, uv, t)
    base = surface.colours(scene, look, rng)
    albedo = np.stack([c[ids] for c in base.T])
    surface.round_leaves(scene, seen)
    albedo *= surface.texture(seen, look)
    gloss = np.zeros(ids.shape, np.float32)
    shining = night.shining(scene, seen, look) if look.lamps else None
    surface.facade(scene, seen, look, albedo, gloss, shining)
    surface.details(seen, look, albedo, gloss)

    sun = light.sun_direction(look, rng)
    lit = light.falling(scene, camera, seen, sun, t, look, rng, noise)
    if look.lamps:
        lit += night.lamplight(scene, camera, seen, t, look)
    rows = int((ids == 0).any(1).nonzero()[0].max(initial=0)) + 1
    sky, pale = light.sky(seen.rays[:, :rows], sun, look, rng)
    signals = (seen.material >= M.RED) & (seen.material <= M.GREEN)
    albedo *= np.where(signals, np.float32(1.4), lit)
    # windows and paint mirror the low sky, more so where they look sideways
    mirror = gloss * (0.3 + 0.5 * np.abs(seen.normal[1]))
    colour = albedo * (1 - 0.5 * gloss) + mirror * pale[:, None, None]
    if shining is not None:
        colour += shining
    clear = np.exp(-seen.depth * np.float32(1 / rng.uniform(*look.haze)))
    colour = colour * clear + (1 - clear) * pale[:, None, None]
    np.copyto(colour[:, :rows], sky, where=ids[:rows] == 0)
    return photograph(colour, look, rng, noise)


def photograph(colour: np.ndarray, look: Look, rng: np.random.Generator, noise: np.random.Generator) -> np.ndarray:
    """The camera: linear light (3, 2H, 2W) -> RGB uint8 (H, W, 3).

    Halving, exposure, white balance, lens, tone curve, sensor noise, JPEG.
    """
    half = f32(0.25, 0.5, 0.25)  # a tent around the even pixels, which are those of the labels
    colour = cv2.sepFilter2D(np.ascontiguousarray(np.moveaxis(colour, 0, -1)), -1, half, half)[::2, ::2]
    height, width = colour.shape[:2]
    blur, grain = rng.uniform(*look.blur) * height / 128, rng.uniform(*look.noise)
    warm, aim = rng.uniform(*look.warmth), rng.uniform(*look.brightness)
    mean = (np.minimum(colour, 1) ** 0.4545).mean()
    colour = colour * (f32(1 + warm, 1, 1 - warm) * np.float32((aim / mean) ** 2))
    if look.bloom:
        bright = np.clip(colour - 0.9, 0, 4)
        colour = colour + look.bloom * sum(cv2.GaussianBlur(bright, (0, 0), s * height) for s in (0.012, 0.05))
    if look.vignette:
        y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
        colour *= (1 - look.vignette * 0.5 * (x * x + y * y))[..., None]
    if blur > 0.05:
        colour = cv2.GaussianBlur(colour, (0, 0), blur)
    colour = np.maximum(colour + look.flare, 0)
    colour /= 1 + 0.5 * np.maximum(colour - 0.6, 0)  # shoulder
    colour = np.clip(colour, 0, 1) ** 0.4545
    colour += look.contrast * (colour * colour * (3 - 2 * colour) - colour)
    if grain > 0:
        colour += grain * (0.5 + np.sqrt(np.maximum(colour, 0))) * noise.standard_normal(colour.shape, np.float32)
    picture = np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8)
    return decode_image(encode_jpeg(picture, int(rng.integers(*look.jpeg))), "a rendered frame")
