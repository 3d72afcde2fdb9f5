"""Every number of the domains, in two groups that can be exchanged one by one: `Layout` (what stands where, and
the camera) and `Look` (what it looks like). Pairs are uniform ranges."""

from dataclasses import dataclass, field, replace

from pipeline.world.palettes import GAME_PALETTE, GAME_TEXTURE, REAL_PALETTE, REAL_TEXTURE, Texture

Range = tuple[float, float]
ABNORMAL = ("car_on_sidewalk", "wrong_way", "person_on_road")


@dataclass(frozen=True)
class Watch:
    """Who passes a fixed camera, and what should not be there."""

    turn: float = -0.62  # radians: how far to the right of the street's direction the camera looks
    people: float = 0.06  # a metre of each line along which people walk
    traffic: float = 0.05  # vehicles a metre of lane
    motorcycles: float = 0.15  # share of the vehicles
    walking: Range = (0.05, 0.1)  # metres a frame
    driving: Range = (0.28, 0.4)
    abnormal: str = ""  # of ABNORMAL, or nothing


@dataclass(frozen=True)
class Layout:
    """What stands where, and the camera; the defaults are the source's."""

    camera_height: Range = (1.3, 2.4)
    camera_pitch: Range = (-0.01, 0.09)  # radians, upwards
    camera_yaw: float = 0.3  # standard deviation, radians
    camera_roll: float = 0.01
    field_of_view: Range = (60, 85)  # degrees, horizontal
    speed: Range = (0, 0.9)  # metres a frame
    lanes: tuple[int, ...] = (1, 2, 2)  # each way
    lane_width: Range = (3.2, 3.8)
    parking: float = 0.35  # chance of a parking strip, each side
    sidewalk: Range = (3.0, 6.0)
    verge: float = 0.35  # chance of grass between kerb and sidewalk
    bend: float = 0.55  # chance of a curve
    dead_end: float = 0.3  # chance that houses close the street
    junction_every: Range = (35, 90)  # metres
    storeys: tuple[int, int] = (2, 9)
    plots: dict[str, float] = field(
        default_factory=lambda: dict(building=0.54, wall=0.12, fence=0.12, hedge=0.06, park=0.16)
    )
    street_trees: float = 0.5  # chance of an avenue
    lamp_every: float = 28.0
    signs: float = 0.035  # a metre of sidewalk
    traffic: float = 0.035  # vehicles a metre of lane
    parked: float = 0.55  # share of the parking places taken
    vehicles: dict[str, float] = field(
        default_factory=lambda: dict(car=0.56, truck=0.1, bus=0.1, motorcycle=0.12, bicycle=0.12)
    )
    people: float = 0.16  # a metre of sidewalk
    parked_bikes: float = 0.05
    watch: Watch | None = None  # a fixed camera at one street, whatever the index


@dataclass(frozen=True)
class Look:
    """What it looks like; the defaults are the source's."""

    palette: dict[str, list[str]] = field(default_factory=dict)
    texture: dict[str, Texture] = field(default_factory=dict)
    detail: float = 0.0  # cracks, stains, worn marks, curtains, joints: 0 none, 1 all
    saturation: Range = (0.75, 1.15)
    sun_height: Range = (0.75, 1.2)  # radians
    sun: Range = (1.0, 1.3)
    ambient: Range = (0.42, 0.55)
    shadow_blur: float = 0.0  # metres
    warmth: Range = (-0.02, 0.06)  # white balance, blue to red
    haze: Range = (900, 2000)  # metres to 1/e
    clouds: Range = (0.1, 0.5)
    brightness: Range = (0.42, 0.5)  # mean that the exposure aims at
    contrast: float = 0.25  # s-shaped tone curve
    flare: float = 0.0  # veiling light added to blacks
    blur: Range = (0.0, 0.01)  # pixels
    noise: Range = (0.0, 0.004)
    vignette: float = 0.0
    jpeg: tuple[int, int] = (96, 97)
    # after dark
    sky: float = 1.0  # brightness of the sky and of the haze
    lamps: float = 0.0  # strength of electric light: street lamps, windows, vehicles; 0 by day
    bloom: float = 0.0  # share of light that the lens spreads around bright lamps


SOURCE_LAYOUT = Layout()
SOURCE_LOOK = Look(palette=GAME_PALETTE, texture=GAME_TEXTURE)
TARGET_LAYOUT = Layout(
    camera_height=(1.15, 1.4),
    camera_pitch=(0.0, 0.05),
    camera_yaw=0.12,
    camera_roll=0.006,
    field_of_view=(48, 56),
    lanes=(1, 1, 2),
    lane_width=(2.9, 3.4),
    parking=0.65,
    sidewalk=(2.0, 4.5),
    verge=0.3,
    bend=0.65,
    dead_end=0.4,
    junction_every=(40, 110),
    storeys=(2, 6),
    plots=dict(building=0.46, wall=0.14, fence=0.14, hedge=0.09, park=0.17),
    street_trees=0.6,
    lamp_every=36.0,
    signs=0.06,
    traffic=0.03,
    parked=0.75,
    people=0.13,
    parked_bikes=0.07,
    vehicles=dict(car=0.74, truck=0.05, bus=0.05, motorcycle=0.04, bicycle=0.12),
)
TARGET_LOOK = Look(
    palette=REAL_PALETTE,
    texture=REAL_TEXTURE,
    detail=1.0,
    saturation=(0.8, 1.3),
    sun_height=(0.5, 1.05),
    sun=(0.2, 2.2),
    ambient=(0.42, 0.65),
    shadow_blur=0.3,
    warmth=(-0.06, 0.08),
    haze=(160, 800),
    clouds=(0.2, 0.9),
    brightness=(0.40, 0.50),
    contrast=0.4,
    flare=0.02,
    blur=(0.25, 0.7),
    noise=(0.004, 0.012),
    vignette=0.3,
    jpeg=(60, 88),
)
# A straight street seen by a fixed camera from a house; its own people and vehicles are those of `watch`
WATCHED_LAYOUT = replace(
    TARGET_LAYOUT,
    camera_height=(8.5, 9.0),
    camera_pitch=(-0.42, -0.4),
    camera_yaw=0.01,
    field_of_view=(58, 62),
    speed=(0, 0),
    lanes=(1,),
    lane_width=(3.2, 3.5),
    parking=0.0,
    sidewalk=(5.0, 6.0),
    verge=0.0,
    bend=0.0,
    dead_end=0.0,
    junction_every=(1e9, 1e9),  # metres: none
    street_trees=0.0,
    vehicles={},
    people=0.0,
    parked_bikes=0.0,
    watch=Watch(),
)
TARGET_NIGHT_LOOK = replace(
    TARGET_LOOK,
    sun=(0.01, 0.06),  # the moon
    ambient=(0.02, 0.04),
    sky=0.018,
    haze=(200, 800),
    clouds=(0.1, 0.6),
    brightness=(0.22, 0.29),
    noise=(0.008, 0.018),
    lamps=1.0,
    bloom=0.12,
)


@dataclass(frozen=True)
class Domain:
    """A layout in a look; domains of one place show the same streets, those of one dress choose the same colours."""

    place: str  # names the random streams of layout and camera
    layout: Layout
    dress: str  # names the random streams of look and noise
    look: Look


DOMAINS = {
    "source": Domain("source", SOURCE_LAYOUT, "source", SOURCE_LOOK),
    "target": Domain("target", TARGET_LAYOUT, "target", TARGET_LOOK),
    # one kind of gap at a time
    "source_in_target_look": Domain("source", SOURCE_LAYOUT, "source_in_target_look", TARGET_LOOK),
    "target_in_source_look": Domain("target", TARGET_LAYOUT, "target_in_source_look", SOURCE_LOOK),
    # for anomalies: one street without and with what should not be there
    "watched": Domain("watched", WATCHED_LAYOUT, "watched", TARGET_LOOK),
    **{
        f"watched_{kind}": Domain(
            "watched", replace(WATCHED_LAYOUT, watch=Watch(abnormal=kind)), "watched", TARGET_LOOK
        )
        for kind in ABNORMAL
    },
    # the streets and colours of "target" after dark
    "target_at_night": Domain("target", TARGET_LAYOUT, "target", TARGET_NIGHT_LOOK),
}
