"""CycleGAN's training step computes what the published code computes, pools included."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.engine.settings import TrainSettings
from pipeline.methods.cyclegan import CycleGAN, Settings
from tests.parity.step import array, check_steps, record

SHAPE = (1, 3, 32, 40)
LOSSES = {
    "D_A": "D_A", "D_B": "D_B", "G_A": "gan_A", "G_B": "gan_B", "cycle_A": "cycle_A", "cycle_B": "cycle_B",
    "idt_A": "identity_A", "idt_B": "identity_B",
}  # fmt: skip


def test_four_steps_of_cyclegan(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = record("step_cyclegan")
    draws = iter([(chance, (slot or 0) / 2) for chance, slot in fixture["pool_draws"]["draws"]])

    def drawn(seed: int, stream: str, positions: np.ndarray, count: int) -> np.ndarray:
        full = positions[0] >= 2  # the first two pictures fill the pool: nothing is drawn
        return np.array([next(draws) if full else (0.0, 0.0)])

    monkeypatch.setattr("pipeline.pool.uniforms", drawn)
    own = Settings(
        generator_width=4, generator_blocks=6, discriminator_width=4, pool=2, identity=0.5, upsampling="transposed"
    )
    train = TrainSettings(steps=4, tick=1, batch=1, crop=[32, 40], lr=2e-4)
    batches = [SimpleNamespace(source=domain("A", s), target=domain("B", s)) for s in range(fixture["steps"])]
    nets = {name: name for name in ("G_A", "G_B", "D_A", "D_B")}
    print(check_steps(fixture, CycleGAN(train, own, 0), batches, LOSSES, nets))


def domain(name: str, step: int) -> SimpleNamespace:
    return SimpleNamespace(image=array(f"step:cyclegan_{name}_{step}", SHAPE), positions=np.array([step]))
