"""Colours and textures by material: those of a game engine of 2016 and those of a grey town in Europe."""

import numpy as np

Texture = tuple[float, float, float, float]  # grain size (m), grain strength, patch size (m), patch strength

# fmt: off
GAME_PALETTE: dict[str, list[str]] = dict(
    SKY=["#4f8fe0", "#5b9bea", "#3f7fd6"], ASPHALT=["#5a5a5e", "#66666a", "#505056"], MARK=["#f4f4f4", "#f2d23c"],
    PAVING=["#b3a79b", "#a9a9a4", "#c2a38e"], KERB=["#c8c8c4"],




    FACADE=["#c98d5f", "#b55a44", "#d9c08a", "#8f9fb0", "#e0d5c0", "#a8683f", "#7d8c6a", "#c4b5a5", "#d07f5a",
        "#6f7f99"],
    TRIM=["#e8e2d4", "#f2f2f0", "#8c7a66"], ROOF=["#a0432e", "#5a5a64", "#7d4a36"],
    STONE=["#a39684", "#b0866a", "#8b8b8b"],
    FENCE=["#3f5f46", "#4a4a4a", "#8a5a34"], POLE=["#6d7278", "#4c5a50"],
    CARPAINT=["#d01818", "#1846c8", "#f0f0f0", "#f0c010", "#18a050", "#202024", "#c0c4c8", "#e87818", "#702090"],
    BUSPAINT=["#d83020", "#1868d0", "#f0b818", "#20a060"], CARGO=["#f0f0ec", "#2858b0", "#c83828", "#e0a020"],
    GLASS=["#3c566e"], DARK=["#1c1c1e"], RIM=["#b0b4b8"], HEADLAMP=["#fffbe0"], TAILLAMP=["#e01010"], PLATE=["#f4f4e8"],
    LEAF=["#3f8f2a", "#4fa038", "#2f7a2c", "#6aa832"], BARK=["#6a4a30"], GRASS=["#58a034", "#6aac3c"],
    SKIN=["#e0a884", "#8a5a3c", "#c68a64"], HAIR=["#2a1c14", "#60401c", "#c09040"],
    SHIRT=["#d82828", "#2850d0", "#f0f0f0", "#20a048", "#f0b020", "#8830a0", "#202020"],
    TROUSERS=["#283868", "#303030", "#806040", "#505868"], RED=["#ff2010"], AMBER=["#ffb010"], GREEN=["#20f060"],
    SIGNRED=["#d81818"], SIGNBLUE=["#1850c8"], SIGNYELLOW=["#f4c818"], SIGNWHITE=["#f6f6f6"],
    AWNING=["#c83028", "#e8e4d8", "#2c8048", "#2858a8", "#e0a828"], LANTERN=["#dcdcd4"])

REAL_PALETTE: dict[str, list[str]] = dict(
    SKY=["#a9c2dc", "#b9c8d8", "#86aad2", "#c5d0da"], ASPHALT=["#59585a", "#6a6663", "#4e5052", "#757070"],
    MARK=["#c9c7c0", "#b8b6ae"], PAVING=["#8f8983", "#7f7c7a", "#9a8f86", "#87807f"], KERB=["#8d8a86"],




    FACADE=["#a39a8c", "#8a7f74", "#b8ad98", "#7a6a60", "#c2bcb0", "#8d8f90", "#94624f", "#a58f70", "#6e6f72",
        "#b4a58c"],
    TRIM=["#a8a49c", "#8a857d", "#c0bcb4"], ROOF=["#6a4a40", "#4a4848", "#5c5450"],
    STONE=["#7d776c", "#8a7a6c", "#6a6a66"],
    FENCE=["#3c4440", "#585a58", "#5c4a3c"], POLE=["#6c6f70", "#54585a", "#7e807c"],
    CARPAINT=["#16181a", "#2a2d32", "#8f9498", "#c4c6c8", "#4a5058", "#1c2a48", "#6a1c1c", "#a9abad", "#33403c"],
    BUSPAINT=["#b8a868", "#8a2c28", "#c8c8c4", "#3c5c80"], CARGO=["#c8c8c4", "#8a8f94", "#5c6c80", "#a89878"],
    GLASS=["#2a3238"], DARK=["#17181a"], RIM=["#7c8084"], HEADLAMP=["#e8e8e0"], TAILLAMP=["#8c1418"], PLATE=["#c8c8c0"],
    LEAF=["#46642e", "#567438", "#405c34", "#6c7a3c", "#38542e"], BARK=["#453c34", "#38322e"],
    GRASS=["#56683a", "#6a7044", "#4a6038"],
    SKIN=["#b48a74", "#7a5440", "#c09a84"], HAIR=["#1c1816", "#3c2e24", "#6c6058"],
    SHIRT=["#1e2024", "#3c4450", "#6a6c70", "#2a3450", "#7c4038", "#a4a29c", "#4c5044", "#18181c"],
    TROUSERS=["#1c2030", "#22242a", "#4c4640", "#2c3440"], RED=["#f04030"], AMBER=["#f0a030"], GREEN=["#60e0a0"],
    SIGNRED=["#a42a2a"], SIGNBLUE=["#2c4c8c"], SIGNYELLOW=["#c8a040"], SIGNWHITE=["#d0d0cc"],
    AWNING=["#6c2c28", "#b4ac98", "#3c5040", "#34445c", "#7c7468"], LANTERN=["#a8a8a2"])

PLAIN: Texture = (0.25, 0.05, 4.0, 0.04)
GAME_TEXTURE: dict[str, Texture] = dict(
    ASPHALT=(0.10, 0.10, 6.0, 0.03), PAVING=(0.12, 0.08, 5.0, 0.04), GRASS=(0.12, 0.3, 3.0, 0.12),
    LEAF=(0.16, 0.4, 1.5, 0.1),
    FACADE=(0.3, 0.05, 6.0, 0.03), CARPAINT=(1, 0, 1, 0), GLASS=(1, 0, 1, 0), SHIRT=(0.1, 0.05, 0.3, 0.05))
REAL_TEXTURE: dict[str, Texture] = dict(
    ASPHALT=(0.06, 0.38, 4.0, 0.38), MARK=(0.08, 0.30, 1.0, 0.35), PAVING=(0.07, 0.35, 2.5, 0.35),
    KERB=(0.1, 0.2, 1.5, 0.2),
    FACADE=(0.12, 0.22, 4.0, 0.35), TRIM=(0.1, 0.1, 2.0, 0.2), ROOF=(0.15, 0.3, 3.0, 0.3), STONE=(0.15, 0.35, 1.2, 0.3),
    FENCE=(0.1, 0.2, 1.0, 0.2), POLE=(0.1, 0.15, 1.0, 0.2), CARPAINT=(0.4, 0.04, 1.5, 0.10),
    BUSPAINT=(0.4, 0.06, 2.0, 0.12),
    CARGO=(0.3, 0.08, 2.0, 0.2), GLASS=(0.6, 0.2, 2.0, 0.4), LEAF=(0.10, 0.75, 0.9, 0.35), BARK=(0.06, 0.4, 0.5, 0.3),
    GRASS=(0.07, 0.5, 1.5, 0.4), SHIRT=(0.08, 0.25, 0.3, 0.3), TROUSERS=(0.08, 0.2, 0.3, 0.25),
    HAIR=(0.05, 0.3, 0.2, 0.2))
# fmt: on


def linear(swatches: list[str]) -> np.ndarray:
    """Hexadecimal colours as linear light (n, 3)."""
    return np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in swatches], np.float32) ** 2.2 / 255**2.2
