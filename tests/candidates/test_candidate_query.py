"""What may be asked for."""

import pytest

from lead_hub.candidates.candidate_query import CandidateQuery, parse_count
from lead_hub.errors import CandidateError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, "limit must be 1 or more, found 0"),
        ({"max_parameters": 0}, "max_parameters must be 1 or more, found 0"),
        ({"min_downloads": -1}, "min_downloads must be 0 or more, found -1"),
        ({"sort": "size"}, "sort must be one of downloads, likes, last_modified, found 'size'"),
        ({"libraries": ("keras",)}, "libraries must be among transformers, timm, found keras"),
        ({"libraries": ()}, "at least one pipeline tag and one library"),
        ({"licences": ()}, "licences must name at least one licence"),
        ({"authors": "team"}, "authors must be a tuple of texts"),
        ({"exclude": ("",)}, "exclude must be a tuple of texts that are not empty"),
    ],
)
def test_what_cannot_be_asked_for(settings: dict[str, object], message: str) -> None:
    with pytest.raises(CandidateError, match=message):
        CandidateQuery(**settings)  # type: ignore[arg-type]


def test_permissive_stands_for_many_licences() -> None:
    allowed = CandidateQuery(licences=("permissive", "OpenRAIL")).allowed_licences
    assert allowed is not None
    assert {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc0-1.0", "openrail"} <= allowed
    # Not for money, share-alike, copyleft, or of unknown terms.
    assert not {"cc-by-nc-4.0", "cc-by-sa-4.0", "cc-by-nd-4.0", "gpl-3.0", "lgpl-3.0", "mpl-2.0"} & allowed
    assert not {"permissive", "other", "unknown", "dinov3-license", "apple-amlr", "nvidia-open-model-license"} & allowed
    assert CandidateQuery().allowed_licences is None


def test_a_query_as_json_names_what_was_chosen() -> None:
    assert CandidateQuery().to_json() == {}
    assert CandidateQuery(limit=3, authors=("a", "b")).to_json() == {"limit": 3, "authors": ["a", "b"]}


@pytest.mark.parametrize(
    ("text", "count"), [("100M", 10**8), ("1.5b", 15 * 10**8), ("300k", 300_000), ("25_000", 25_000), (" 7 ", 7)]
)
def test_numbers_of_parameters(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "-5M", "1e6", "5 apples", "1.2.3M"])
def test_no_numbers_of_parameters(text: str) -> None:
    with pytest.raises(CandidateError, match="must be written like"):
        parse_count(text)
