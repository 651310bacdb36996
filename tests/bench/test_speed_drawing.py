"""The drawing of `lead-hub bench --speed`: lengths by hand, every number in words, and well-formed."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lead_hub.bench.speed import save_speed
from lead_hub.bench.speed.speed_drawing import drawing_of, panel, ratio_bars, run_bar, second_bars
from tests.bench.test_speed import ON_GPU, ON_HUB, REPORT, ROW

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_of_seconds() -> None:
    """A run of 11 s, of which 1 went into decoding and 8.5 into passes, has 1.5 s that its floor has not."""
    bars = {bar.name: bar for bar in second_bars(REPORT, ROW)}
    assert bars["(a) floor: both"].pieces == (("decoding", 2.0), ("passes", 8.0))
    assert bars["(b) lead-hub"].pieces == (("decoding", 1.0), ("passes", 8.5), ("other", 1.5))
    assert bars["(b) as a race within 25%"].words == "4.0 s"
    assert bars["(c) a user's loop"].reach == 44.0
    assert "(a) floor: both" not in {bar.name for bar in second_bars(REPORT, ON_GPU)}


def test_bars_of_downloads() -> None:
    bars = {bar.name: bar.words for bar in second_bars(replace(REPORT, megabytes_per_s=20.0), ON_HUB)}
    assert bars["(a) download alone, 20 MB/s"] == "6.0 s"
    assert bars["(b) lead-hub, 20 MB/s"] == "13.0 s"


def test_bars_of_ratios() -> None:
    over, under, race = ratio_bars(REPORT, ROW)
    assert (over.words, over.limit) == ("1.10; at most 1.15: met", 1.15)
    assert (under.words, under.limit) == ("4.00; at least 3: met", 3.0)
    assert (race.words, race.limit) == ("11.00; at least 10: met", 10.0)


def test_pieces_follow_each_other_on_one_scale() -> None:
    """Of a scale to 44 s, pieces of 1, 8.5 and 1.5 s end at 2.27%, 21.59% and 25%."""
    drawn, _ = panel("Seconds", second_bars(REPORT, ROW), 0)
    lines = [
        (each.get("class"), each.get("x1"), each.get("x2"))
        for each in ElementTree.fromstring(f"<svg>{drawn}</svg>").iter("line")
        if each.get("class") == "other" or each.get("x2") in ("2.27%", "21.59%", "100.00%")
    ]
    assert ("decoding", "0.00%", "2.27%") in lines
    assert ("passes", "2.27%", "21.59%") in lines
    assert ("other", "21.59%", "25.00%") in lines
    assert ("whole", "0.00%", "100.00%") in lines


def test_a_run_that_told_nothing_is_all_else() -> None:
    assert run_bar("(b)", replace(ROW.ours, stages=None)).pieces == (
        ("decoding", 0.0),
        ("passes", 0.0),
        ("other", 11.0),
    )


def test_the_file_is_an_image_that_says_its_numbers(tmp_path: Path) -> None:
    report = replace(REPORT, device="<GPU> & more")
    save_speed(report, tmp_path / "speed.svg")
    text = (tmp_path / "speed.svg").read_text()
    assert text == drawing_of(report)
    drawn = ElementTree.fromstring(text)
    assert drawn.tag == f"{SVG}svg"
    assert "<GPU> & more" in (drawn.findtext(f"{SVG}title") or "")
    assert "1 network, 110 images" in (drawn.findtext(f"{SVG}text") or "")
    described = drawn.findtext(f"{SVG}desc") or ""
    shown = " ".join(each.text or "" for each in drawn.iter(f"{SVG}text"))
    for words in ("11.0 s", "44.0 s", "1.10; at most 1.15: met", "4.00; at least 3: met"):
        assert words in described
        assert words in shown


@pytest.mark.parametrize("n_sizes", [1, 2])
def test_nothing_is_drawn_below_the_end(n_sizes: int) -> None:
    drawn = ElementTree.fromstring(drawing_of(replace(REPORT, rows=(ROW,) * n_sizes)))
    height_px = int(drawn.get("height") or 0)
    tops = [(float(each.get("y") or 0), float(each.get("height") or 0)) for each in drawn.findall(f"{SVG}svg")]
    assert max(top + height for top, height in tops) < height_px
    assert max(float(each.get("y") or 0) for each in drawn.findall(f"{SVG}text")) < height_px
