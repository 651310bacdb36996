"""How fast a run is: beside what the machine allows at the most, and beside the loop that a user would write.

made_inputs (networks of real sizes, photographs) -> bare_floor and measured_parts, each part in a process of its own
-> speed_report -> speed_text, drawing_of
"""

from lead_hub.bench.speed.made_inputs import NETWORKS
from lead_hub.bench.speed.speed_files import check_speed_file, save_speed
from lead_hub.bench.speed.speed_report import LimitedHub, SpeedReport, SpeedSettings, run_speed
from lead_hub.bench.speed.speed_text import notes, table

__all__ = [
    "NETWORKS",
    "LimitedHub",
    "SpeedReport",
    "SpeedSettings",
    "check_speed_file",
    "notes",
    "run_speed",
    "save_speed",
    "table",
]
