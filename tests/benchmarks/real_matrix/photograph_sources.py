"""Debian packages, unpacked into one folder -> the labelled photographs of each target.

Classes come from what the packages themselves say: folders, names of files, a catalogue. What is drawn is left out.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from PIL import Image

from .photographs import Photograph
from .qt_resources import read_resource_file
from .sky_catalogue import object_type

GCOMPRIS = Path("usr/share/gcompris-qt/rcc")
STELLARIUM = Path("usr/share/stellarium/nebulae/default")
STAMPS = Path("usr/share/tuxpaint/stamps")
TERRAIN = Path("usr/share/games/0ad/mods/public/public.zip")
UFO = Path("usr/share/games/ufoai/base/0textures.pk3")
NEXUIZ = Path("usr/share/games/nexuiz/data")
KART = Path("usr/share/games/supertuxkart/data/textures")
AERIAL = Path("usr/share/games/flightgear/Textures/Terrain")

Patterns = Mapping[str, str]

MAMMALS = (
    "alpaca calf camels cheetah dolphin flying_fox gibbon giraffe goat gorilla horse kitten long_nosed_monkey macaque"
    " meerkats nubian_ibex pika red_panda rhinoceros squirrel cat cow dog pig sheep bison hedgehog jaguar kangaroo koala"
    " lemur moose narwhal panda polar_bear"
)
BIRDS = (
    "gosling heron kingfisher northern_harrier penguin spoonbills swans toucan chicken duck owl scarlet_macaw"
)
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
    "road": r"road|path",
    "forest_floor": r"forr?est_?floor",
    "sand": r"sand|dune|beach",
    "mud": r"mud|riparian|swamp|clay",
    "stones": r"rock|stone|pebble|gravel",
    "dirt": r"dirt",
    "grass": r"grass",
    "shrubs": r"shrub|plants|flora|scrub",
}
MATERIALS: Patterns = {
    "carpet": r"carpet",
    "brick": r"brick",
    "wood": r"wood|plank",
    "concrete": r"concrete|conc\d|cement|e8crete|cretewall|cretebase|cretefloor",
    "metal": r"metal|rust|mtl|steel|iron",
    "tiles": r"tile|paving|pavement",
    "wallpaper": r"wallpaper",
    "rock": r"rock|stone|cliff|canyon",
    "grass": r"grass",
    "bare_ground": r"dirt|sand|mud|desert|soil|ground",
    "roof": r"roof",
    "snow_or_ice": r"snow|(^|/)ice",
}
LAND_USE: Patterns = {
    "town": r"town|city|suburb|slum|industr|commercial|port\.|airport\.|carpark|transport",
    "golf_course": r"golf",
    "fields": r"crop|countryside|rice|orchard|pasture",
    "forest": r"forest|deciduous|evergreen|wood",
    "snow_or_ice": r"snow|glacier|packice",
    "sand": r"sand|dunes",
    "rock_or_lava": r"rock|lava|cliff|gravel|dirt",
    "marsh": r"marsh|tidal|wash|pantanal|mud",
    "shrubs": r"shrub|scrub|heath|bush|savanna|caatinga|cerrado|outback",
    "grass_or_tundra": r"grass|tundra|green",
}
# Relief, gloss, masks, overlays, animations; parts of another picture.
NO_PICTURE = re.compile(
    r"_(norm|spec|nm|sm|gm|g|gloss|bump|glow|shirt|pants|reflect|albedo_?gloss|luma|alpha|mask)\b|normal|mask|overlay"
    r"|relief|-colors|_jump|_ow|transition|grid|sign|trim|light",
    re.IGNORECASE,
)
SMALLEST_SIDE = 100


def photographs_of(target: str, debian: Path) -> list[Photograph]:
    """All photographs of a target, copies included."""
    readers = {
        "things": _things,
        "deep_sky": _deep_sky,
        "terrain": lambda folder: _zipped(folder / TERRAIN, r"^art/textures/terrain/types/(.*)\.cached\.dds", GROUNDS),
        "stamps": _stamps,
        "surfaces": _surfaces,
        "aerial": _aerial,
    }
    return list(readers[target](debian))


def class_of(path: str, patterns: Patterns) -> str | None:
    """The class whose pattern is the first to match."""
    return next((name for name, pattern in patterns.items() if re.search(pattern, path)), None)


def _things(debian: Path) -> Iterator[Photograph]:
    for activity in ("categorization", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals"):
        for path, content in read_resource_file(debian / GCOMPRIS / f"{activity}.rcc").items():
            label = class_of(path, THINGS) if path.endswith(".webp") else None
            if label:
                yield Photograph(path, label, Image.open(io.BytesIO(content)), is_cutout="/tools/" in path)


def _deep_sky(debian: Path) -> Iterator[Photograph]:
    types = object_type(debian / STELLARIUM / "catalog.dat")
    for path in sorted((debian / STELLARIUM).glob("*.png")):
        label = types(path.stem)
        if label:
            yield Photograph(path.name, label, Image.open(path))


def _stamps(debian: Path) -> Iterator[Photograph]:
    for path in sorted((debian / STAMPS).rglob("*.png")):
        source = path.relative_to(debian / STAMPS).as_posix()
        label = class_of(source, STAMP_TOPICS)
        if label and not re.search(r"cartoon|_mirror|toys|plastic", source):
            yield Photograph(source, label, Image.open(path), is_cutout=True)


def _surfaces(debian: Path) -> Iterator[Photograph]:
    yield from _zipped(debian / UFO, r"^textures/(tex_(?:material|nature|buildings|streets|terrain|dirt)/.*)$", MATERIALS)
    for archive in sorted((debian / NEXUIZ).glob("*.pk3")):
        yield from _zipped(archive, r"^textures/(.*)\.(?:jpg|tga|png)$", MATERIALS)
    yield from _files(debian / KART, MATERIALS)


def _aerial(debian: Path) -> Iterator[Photograph]:
    yield from _files(debian / AERIAL, LAND_USE)


def _files(folder: Path, patterns: Patterns) -> Iterator[Photograph]:
    paths = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in {".png", ".jpg"}}
    yield from _opened(((name, path.open("rb")) for name, path in paths.items()), patterns, package=folder.parts[-3])


def _zipped(archive: Path, wanted: str, patterns: Patterns) -> Iterator[Photograph]:
    with zipfile.ZipFile(archive) as packed:
        found = ((re.search(wanted, path), path) for path in sorted(packed.namelist()))
        named = ((match[1], io.BytesIO(packed.read(path))) for match, path in found if match and match[1])
        yield from _opened(named, patterns, package=archive.stem)


def _opened(named: Iterable[tuple[str, io.IOBase]], patterns: Patterns, *, package: str) -> Iterator[Photograph]:
    for name, stream in named:
        label = class_of(name.lower(), patterns)
        if label is None or NO_PICTURE.search(name):
            continue
        image = Image.open(stream)  # type: ignore[arg-type]
        if min(image.size) >= SMALLEST_SIDE and max(image.size) <= 2 * min(image.size):
            yield Photograph(f"{package}/{name}", label, image.convert("RGB"))
