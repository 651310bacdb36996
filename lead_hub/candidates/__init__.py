"""Stage 2: ids, folders, text files, a model index or a question to the Hub -> Candidates.

`candidate_list.py` reads what the user names; `finding.py` asks the Hub and says why each other model was left out;
`model_index.py` is the list on disk, `policy.py` the reasons to leave a model out.
"""

from lead_hub.candidates.candidate import Candidate
from lead_hub.candidates.candidate_list import CandidateSource, checkpoint_folders, read_candidates
from lead_hub.candidates.candidate_query import CandidateQuery, parse_count
from lead_hub.candidates.checkpoint_search import FoundCheckpoint, search_checkpoints
from lead_hub.candidates.finding import FoundCandidates, find_candidates
from lead_hub.candidates.index_query import PRESETS, IndexQuery, default_choice, query_index, said_of_index
from lead_hub.candidates.lineage import same_dataset
from lead_hub.candidates.model_index import (
    LeftOut,
    ModelIndex,
    default_model_index,
    index_families,
    read_model_index,
    user_model_index,
    write_model_index,
)
from lead_hub.candidates.policy import PRIVATE
from lead_hub.candidates.refreshing import refresh_index

__all__ = [
    "PRESETS",
    "PRIVATE",
    "Candidate",
    "CandidateQuery",
    "CandidateSource",
    "FoundCandidates",
    "FoundCheckpoint",
    "IndexQuery",
    "LeftOut",
    "ModelIndex",
    "checkpoint_folders",
    "default_choice",
    "default_model_index",
    "find_candidates",
    "index_families",
    "parse_count",
    "query_index",
    "read_candidates",
    "read_model_index",
    "refresh_index",
    "said_of_index",
    "same_dataset",
    "search_checkpoints",
    "user_model_index",
    "write_model_index",
]
