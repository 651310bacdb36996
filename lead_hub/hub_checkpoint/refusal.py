"""What the Hub's refusal of a model means for the user, in the Hub's own words."""

from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from lead_hub.candidates import Candidate
from lead_hub.hub_requests import LOGIN_ADVICE


def named(candidate: Candidate) -> str:
    return candidate.checkpoint + (f"@{candidate.revision}" if candidate.revision else "")


def why_refused(candidate: Candidate, error: Exception) -> str:
    """What the Hub's answer means for this candidate, in the Hub's own words, and what to do about it."""
    name = named(candidate)
    words = getattr(error, "server_message", None)
    said = f" (the Hub says: {words})" if words else ""
    page = f"{constants.ENDPOINT}/{candidate.checkpoint}"
    if isinstance(error, GatedRepoError):
        return f"{name} is gated: ask for access on its Hub page {page}, then {LOGIN_ADVICE}{said}"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{name} is no local folder and the Hub has no such model, or it is private: check the id, or log in{said}"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{name}: the repository exists, this revision does not: check the branch, tag or commit{said}"
    return f"{name} could not be downloaded: {error}"
