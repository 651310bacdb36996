"""The one voice to the Hub: a request made patiently, its refusals in words; and files written whole, and hashed.

requests.py        one request, with finite timeouts, retries and one clear error
listings.py        one listing, whole
refusals.py        what each answer of the Hub means, and what to do about it
tokens.py          the token of a call, clean; the Hub's address without a password
cached_content.py  where the content of a cached file lies, and whether it is a repository's own
whole_files.py     files that appear whole or not at all; where lead-hub keeps its own
file_hashes.py     the form of a commit, one hash over files, the hash that the Hub announces
"""

from lead_hub.hub.cached_content import content_of, lies_in_cache, remove_cached
from lead_hub.hub.file_hashes import AnnouncedHash, files_sha256, is_commit, is_content_sha
from lead_hub.hub.listings import FoundRepository, searched_text, whole_listing
from lead_hub.hub.refusals import why_refused
from lead_hub.hub.requests import (
    LOGIN_ADVICE,
    LONGEST_NAP_S,
    TIMEOUT_S,
    TRANSPORT_ERROR,
    HubDownError,
    break_off_xet,
    cancellable_bar,
    hub_api,
    limited,
    patiently,
)
from lead_hub.hub.tokens import Token, clean_token, hub_address
from lead_hub.hub.whole_files import assets_folder, free_disk, in_utf_8, make_folder, write_text_whole, written_whole

__all__ = [
    "LOGIN_ADVICE",
    "LONGEST_NAP_S",
    "TIMEOUT_S",
    "TRANSPORT_ERROR",
    "AnnouncedHash",
    "FoundRepository",
    "HubDownError",
    "Token",
    "assets_folder",
    "break_off_xet",
    "cancellable_bar",
    "clean_token",
    "content_of",
    "files_sha256",
    "free_disk",
    "hub_address",
    "hub_api",
    "in_utf_8",
    "is_commit",
    "is_content_sha",
    "lies_in_cache",
    "limited",
    "make_folder",
    "patiently",
    "remove_cached",
    "searched_text",
    "whole_listing",
    "why_refused",
    "write_text_whole",
    "written_whole",
]
