"""The embedded datasets as buttons with pictures, which are shipped beside this file."""

import json
from pathlib import Path

PICTURES = Path(__file__).with_name("demo_pictures.json")  # python -m tests.benchmarks.demo_pictures
PICTURES_EACH = 3
PLACES = ("left 8px top 8px", "center top 8px", "right 8px top 8px")


def demo_pictures() -> dict[str, list[str]]:
    """Base64 of small JPEGs, by target of the demo."""
    pictures: dict[str, list[str]] = json.loads(PICTURES.read_text(encoding="utf-8"))
    return pictures


def pictures_style() -> str:
    """CSS that puts them above each button's own word."""
    rules = []
    for target, pictures in demo_pictures().items():
        images = ", ".join(f"url(data:image/jpeg;base64,{picture})" for picture in pictures)
        rules.append(f"#try-{target} {{background-image: {images}; background-position: {', '.join(PLACES)};}}")
    return f"<style>{' '.join(rules)}</style>"
