"""recommend(): the whole path, from a dataset to a leaderboard. Read this first; every step is a room of its own.

dataset id -> LabelledImages -> Candidate... -> files -> CheckpointOutputs -> score -> Leaderboard -> score cards

recommendation.py  the choices of a run, and what it is made of
grouping.py        which images are left out together: near_copies.py finds what shows the same picture
racing.py          whose turn it is: every candidate on all images, or a race; race_budget.py what it may cost,
                   race_entry.py who may be in one
standing_elsewhere.py  how checkpoints stood on other datasets: what cards tell, what this machine's own runs found,
                   which counts more by dataset_similarity.py
turn_by_turn.py    the boards of a run in turns; turn_scoring.py one turn: files -> outputs -> scores
shared_run.py      many candidates among several processes, each whole: work_queue.py gives them out
steps.py           images, files and outputs, the same on every process of the run
scoring.py         outputs -> scores and a row
judging.py         scored candidates -> the board, every row of which says how sure it is
board_rows.py      images, outputs and scores -> what a leaderboard keeps of them
pictures.py        what people may look at: of the images, and of those that a checkpoint gets wrong
hub_jobs.py        the same on the Hub's machines, a Job a share of the candidates: job_commands.py what each runs,
                   job_results.py which scores are its own
progress.py        where the run is; estimate.py what it will take
"""

from lead_hub.recommendation.estimate import (
    RunEstimate,
    auto_budget,
    estimate_jobs,
    estimate_run,
    measured_speed,
    speed_of_gpus,
)
from lead_hub.recommendation.grouping import image_groups
from lead_hub.recommendation.hub_jobs import JobsRequest, price_per_hour, refuse_what_stays_here, run_on_jobs
from lead_hub.recommendation.job_results import note_results
from lead_hub.recommendation.pictures import (
    Disagreement,
    MistakenPicture,
    PredictedClasses,
    RunPictures,
    SamplePictures,
    disagreement_of,
    look_at_images,
)
from lead_hub.recommendation.progress import RunProgress
from lead_hub.recommendation.race_budget import AUTO, parse_race_budget
from lead_hub.recommendation.race_entry import can_race, entrants, with_known_sizes
from lead_hub.recommendation.recommendation import Recommendation, recommend
from lead_hub.recommendation.standing_elsewhere import with_known_standings

__all__ = [
    "AUTO",
    "Disagreement",
    "JobsRequest",
    "MistakenPicture",
    "PredictedClasses",
    "Recommendation",
    "RunEstimate",
    "RunPictures",
    "RunProgress",
    "SamplePictures",
    "auto_budget",
    "can_race",
    "disagreement_of",
    "entrants",
    "estimate_jobs",
    "estimate_run",
    "image_groups",
    "look_at_images",
    "measured_speed",
    "note_results",
    "parse_race_budget",
    "price_per_hour",
    "recommend",
    "refuse_what_stays_here",
    "run_on_jobs",
    "speed_of_gpus",
    "with_known_sizes",
    "with_known_standings",
]
