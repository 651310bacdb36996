"""A question to the Hub, or to a model index -> the checkpoints to rank, and why each of the others was left out."""

from lead_hub.found_candidates.candidate_query import CandidateQuery
from lead_hub.found_candidates.finding import FoundCandidates, find_candidates
from lead_hub.found_candidates.index_query import IndexQuery, query_index
from lead_hub.found_candidates.lineage import same_dataset, trained_on
from lead_hub.found_candidates.refreshing import refresh_index
from lead_hub.model_index import LeftOut

__all__ = [
    "CandidateQuery",
    "FoundCandidates",
    "IndexQuery",
    "LeftOut",
    "find_candidates",
    "query_index",
    "refresh_index",
    "same_dataset",
    "trained_on",
]
