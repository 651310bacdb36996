"""Debian packages, unpacked into one folder -> the labelled photographs of each target.

Classes come from what the packages themselves say: folders, names of files, a catalogue. What is drawn is left out.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from .photographs import Photograph
from .qt_resources import read_resource_file
from .sky_catalogue import SkyObject, galaxy_class, read_catalogue, sky_class

GCOMPRIS = Path("usr/share/gcompris-qt/rcc")
ACTIVITIES = ("categorization", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals")
STELLARIUM = Path("usr/share/stellarium/nebulae/default")
STAMPS = Path("usr/share/tuxpaint/stamps")
TERRAIN = Path("usr/share/games/0ad/mods/public/public.zip")
UFO = Path("usr/share/games/ufoai/base/0textures.pk3")
NEXUIZ = Path("usr/share/games/nexuiz/data")
KART = Path("usr/share/games/supertuxkart/data/textures")
ECLIPSE = Path("usr/share/games/redeclipse/data")

Patterns = Mapping[str, str]

MAMMALS = (
    "alpaca calf camels cheetah dolphin flying_fox gibbon giraffe goat gorilla horse kitten long_nosed_monkey macaque"
    " meerkats nubian_ibex pika red_panda rhinoceros squirrel cat cow dog pig sheep bison hedgehog jaguar kangaroo"
    " koala lemur moose narwhal panda polar_bear"
)
BIRDS = "gosling heron kingfisher northern_harrier penguin spoonbills swans toucan chicken duck owl scarlet_macaw"
CRAWLERS = "bee butterfly caterpillar chamaeleon crab chameleon crocodile dragon"


def _words(names: str) -> str:
    return "(" + "|".join(names.split()) + ")"


# The first pattern that matches a path names its class; what matches none is no picture of the target.
THINGS: Patterns = {
    "fish": r"categorization/.*/fishes/",
    "building": r"(categorization/.*/monuments/|explore_monuments/resource/)",
    "windmill": r"renewable/windmill",
    "solar_panel": r"renewable/solar",
    "hammer": r"tools/hammer",
    "cutter_or_pliers": r"tools/(scissors|plier|sideCutter|tweezer|cuttingTool|nailCutter)",
    "other_tool": r"tools/",
    "household": r"categorization/.*/others/",
    "mammal": rf"(erase/resource|/animals)/{_words(MAMMALS)}\.webp",
    "bird": rf"(erase/resource|/animals)/{_words(BIRDS)}\.webp",
    "crawling_animal": rf"(erase/resource|/animals)/{_words(CRAWLERS)}\.webp",
}
STAMP_TOPICS: Patterns = {
    "bird": r"animals/birds/",
    "hoofed_animal": r"animals/mammals/(bovines|equines|deer|camel|pig|giraffe|rhino|hippo|wildboar)",
    "other_mammal": r"animals/(mammals(?!.*toys)|marsupials)/",
    "sea_animal": r"animals/(fish|shellfish)/",
    "insect": r"animals/insects/(?!Brown_slug)",
    "fruit": r"food/(fruit|nuts)/",
    "vegetable": r"food/vegetables/",
    "flower": r"plants/flowers/",
    "tool": r"household/(tools|arttools)/",
    "household": r"household/",
    "vehicle": r"(vehicles/|military/vehicles/)",
    "road_sign": r"town/roadsigns/",
    "ball_or_instrument": r"(hobbies/music|sports)/",
}
GROUNDS: Patterns = {
    "cliff": r"cliff|mountainside|rock_metamorphic|cave_walls",
    "snow_or_ice": r"snow|(^|/)ice|glacial",
    "paving": r"paving|citytile|city_tile|pavement|(^|[/_])tile",
    "farmland": r"farmland|furrows",
    "road": r"road|path|street|asphalt",
    "forest_floor": r"forr?est_?floor",
    "sand": r"sand|dune|beach",
    "mud": r"mud|riparian|swamp|clay",
    "stones": r"rock|stone|pebble|gravel",
    "dirt": r"dirt",
    "grass": r"grass",
    "shrubs": r"shrub|plants|flora|scrub",
}
MATERIALS: Patterns = {
    "carpet_or_paper": r"carpet|wallpaper",
    "brick": r"brick",
    "wood": r"wood|plank|board",
    "concrete": r"concrete|conc\d|conc_|cement|e8crete|cretewall|cretebase|cretefloor",
    "metal": r"metal|rust|mtl|steel|iron",
    "tiles": r"tile|paving|pavement",
    "stone": r"rock|stone|cliff|marble",
    "grass": r"grass",
    "bare_ground": r"dirt|sand|mud|desert|soil|ground",
    "roof": r"roof",
}
# Relief, gloss, masks, signs, borders: no photograph of the material, or one of it with something else.
NO_PICTURE = re.compile(
    r"_(norm|spec|nm|sm|gm|g|n|n2|s|z|b|gloss|bump|glow|shirt|pants|reflect|luma|alpha|local)(\b|_)|\d[sz]\.jpg$|normal|mask"
    r"|overlay|jump|_ow|transition|grid|grate|sign|trim|light|door|window|box|duct|pipe|fence|barrel|document|skid"
    r"|paper0|note0|writing|leaf|gfx_|animated|water|lava|glass|bullet|warn|stripe|screen|tech|liquid|_fx|rocket"
    r"|reptile|nuts|hlac|portal|_env|blood|mudpot|flag|logo",
    re.IGNORECASE,
)
# Folders of Red Eclipse by people who photographed; the others drew.
PHOTOGRAPHERS = ("jojo", "wicked", "dziq", "luckystrike", "unnamed", "appleflap", "nieb")
SMALLEST_SIDE = 100
MOST_TRANSPARENT = 0.02  # of a surface's pixels: more, and it is a cut-out of something else
LEAST_CONTRAST = 2.0  # standard deviation of the colours, of 255
RELIEF_COLOUR = (128, 128, 255)  # where a map of slopes is level
RELIEF_DISTANCE = 40


def photographs_of(target: str, debian: Path) -> list[Photograph]:
    """All photographs of a target, copies included."""
    readers: Mapping[str, Callable[[Path], Iterator[Photograph]]] = {
        "things": _things,
        "deep_sky": lambda folder: _sky(folder, sky_class),
        "galaxies": lambda folder: _sky(folder, galaxy_class),
        "stamps": _stamps,
        "surfaces": _surfaces,
        "terrain": _terrain,
    }
    return list(readers[target](debian))


def class_of(path: str, patterns: Patterns) -> str | None:
    """The class whose pattern is the first to match."""
    return next((name for name, pattern in patterns.items() if re.search(pattern, path)), None)


def _things(debian: Path) -> Iterator[Photograph]:
    for activity in ACTIVITIES:
        for path, content in read_resource_file(debian / GCOMPRIS / f"{activity}.rcc").items():
            label = class_of(path, THINGS) if path.endswith(".webp") else None
            if label:
                yield Photograph(path, label, Image.open(io.BytesIO(content)), is_cutout="/tools/" in path)


def _sky(debian: Path, class_of_object: Callable[[SkyObject], str | None]) -> Iterator[Photograph]:
    catalogue = read_catalogue(debian / STELLARIUM / "catalog.dat")
    for path in sorted((debian / STELLARIUM).glob("*.png")):
        found = catalogue.named(path.stem)
        label = class_of_object(found) if found else None
        if label:
            yield Photograph(path.name, label, Image.open(path))


def _stamps(debian: Path) -> Iterator[Photograph]:
    for path in sorted((debian / STAMPS).rglob("*.png")):
        source = path.relative_to(debian / STAMPS).as_posix()
        label = class_of(source, STAMP_TOPICS)
        if label and not re.search(r"cartoon|_mirror|toys|plastic", source):
            yield Photograph(source, label, Image.open(path), is_cutout=True)


def _surfaces(debian: Path) -> Iterator[Photograph]:
    yield from _zipped(debian / UFO, r"^textures/(tex_(?:material|buildings|streets)/.*)$", MATERIALS)
    for archive in sorted((debian / NEXUIZ).glob("*.pk3")):
        yield from _zipped(archive, r"^textures/(.*\.(?:jpg|tga|png))$", MATERIALS)
    for author in PHOTOGRAPHERS:
        yield from _files(debian / ECLIPSE / author, MATERIALS)


def _terrain(debian: Path) -> Iterator[Photograph]:
    yield from _zipped(debian / TERRAIN, r"^art/textures/terrain/types/(.*)\.cached\.dds", GROUNDS)
    yield from _zipped(debian / UFO, r"^textures/(tex_(?:nature|terrain|dirt)/.*)$", GROUNDS)
    yield from _files(debian / KART, GROUNDS)


def _files(folder: Path, patterns: Patterns) -> Iterator[Photograph]:
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in {".png", ".jpg"}]
    named = ((path.relative_to(folder).as_posix(), io.BytesIO(path.read_bytes())) for path in paths)
    yield from _opened(named, patterns, package=folder.name)


def _zipped(archive: Path, wanted: str, patterns: Patterns) -> Iterator[Photograph]:
    with zipfile.ZipFile(archive) as packed:
        found = ((re.search(wanted, path), path) for path in sorted(packed.namelist()))
        named = ((match[1], io.BytesIO(packed.read(path))) for match, path in found if match and match[1])
        yield from _opened(named, patterns, package=archive.stem)


def _opened(named: Iterable[tuple[str, io.BytesIO]], patterns: Patterns, *, package: str) -> Iterator[Photograph]:
    for name, stream in named:
        label = class_of(Path(name).name.lower(), patterns)
        if label is None or NO_PICTURE.search(name):
            continue
        image = Image.open(stream)
        if is_surface(image):
            yield Photograph(f"{package}/{name}", label, image.convert("RGB"))


def is_surface(image: Image.Image) -> bool:
    """Whether a picture is large enough, about square, opaque, not of one colour and no map of slopes."""
    if min(image.size) < SMALLEST_SIDE or max(image.size) > 2 * min(image.size):
        return False
    pixels = np.asarray(image.convert("RGBA").resize((64, 64)), dtype=np.float64)
    colours, opacity = pixels[..., :3], pixels[..., 3]
    is_relief = np.abs(colours.mean(axis=(0, 1)) - RELIEF_COLOUR).max() < RELIEF_DISTANCE
    is_opaque = (opacity < 250).mean() <= MOST_TRANSPARENT
    return bool(is_opaque and not is_relief and colours.std(axis=(0, 1)).max() >= LEAST_CONTRAST)
