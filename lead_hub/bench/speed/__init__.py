"""How fast a run is: beside what the machine allows at the most, and beside the loop that a user would write.

made_inputs (networks of real sizes, photographs) -> bare_floor and measured_parts, each part in a process of its own
-> speed_report
"""

from lead_hub.bench.speed.made_inputs import NETWORKS
from lead_hub.bench.speed.speed_report import (
    SpeedReport,
    SpeedSettings,
    check_speed_file,
    notes,
    run_speed,
    save_speed,
    table,
)

__all__ = ["NETWORKS", "SpeedReport", "SpeedSettings", "check_speed_file", "notes", "run_speed", "save_speed", "table"]
