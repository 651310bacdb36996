"""The figures of a leaderboard in HTML and SVG, drawn by hand: no library, no script, every name escaped."""

from spaces_app.confusion_figure import confusion_heat_map
from spaces_app.interval_figure import rank_intervals
from spaces_app.size_figure import pareto_front, score_against_parameters

__all__ = ["confusion_heat_map", "pareto_front", "rank_intervals", "score_against_parameters"]
