"""The page's foot and what other sites show of a link: where they lead from a Space, and from one's own machine."""

import re
from xml.etree.ElementTree import fromstring

from huggingface_hub.constants import ENDPOINT

from spaces_app.footer import footer_html, preview_tags


def links(space_id: str | None) -> dict[str, str]:
    page = fromstring(f"<div>{footer_html(space_id)}</div>")
    return {str(link.text): link.attrib["href"] for link in page.iter("a")}


def told(space_id: str | None) -> dict[str, str]:
    return dict(re.findall(r'<meta property="([^"]+)" content="([^"]+)">', preview_tags(space_id)))


def test_a_space_leads_to_its_own_docs_and_code() -> None:
    place = f"{ENDPOINT}/spaces/me/lead-hub"
    assert links("me/lead-hub") == {
        "Paper": "https://arxiv.org/abs/2507.14559",
        "Docs": f"{place}/blob/main/README.md",
        "Code": f"{place}/tree/main",
    }
    assert told("me/lead-hub")["og:image"] == f"{place}/resolve/main/spaces_app/screenshots/finished.png"


def test_elsewhere_nothing_is_named_that_is_not_there() -> None:
    assert list(links(None)) == ["Paper"]
    assert set(told(None)) == {"og:title", "og:description"}


def test_an_id_is_never_markup() -> None:
    nasty = '"><script>alert(1)</script>'
    assert "<script" not in footer_html(nasty) + preview_tags(nasty)
