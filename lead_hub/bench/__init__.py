"""The benchmark: every score against what fine-tuning really gave, on a ground-truth matrix.

matrix/, real_matrix/ -> GroundTruthMatrix -> ScoreTable -> Contender... -> Comparison -> the table of `lead-hub bench`
matrix/ -> race_replay: what a race spares and costs -> the table of `lead-hub bench --race`
"""

from lead_hub.bench.matrix import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.race_replay import RaceReport, ReplaySettings, joined_races, run_replay
from lead_hub.bench.race_text import race_cells, race_headers, race_legend
from lead_hub.bench.report import BenchReport, BenchSettings, joined, run_bench
from lead_hub.bench.report_text import check_format, columns, headline, legend, notes, save
from lead_hub.bench.score_cache import default_cache_folder

__all__ = [
    "MATRIX_FOLDER",
    "REAL_MATRIX_FOLDER",
    "BenchReport",
    "BenchSettings",
    "RaceReport",
    "ReplaySettings",
    "check_format",
    "columns",
    "default_cache_folder",
    "headline",
    "joined",
    "joined_races",
    "legend",
    "notes",
    "race_cells",
    "race_headers",
    "race_legend",
    "run_bench",
    "run_replay",
    "save",
]
