"""How many images a class the first stage of a race needs: `python -m tests.benchmarks.race_first_stage`.

Races on the study targets under other rules than those of `recommend`, above all without the cap of a quarter of all
images; then, under the rules of `recommend`, on the two held-out targets with the fewest images a class, on which
nothing was chosen.
"""

from dataclasses import replace

from lead_hub.bench.matrix import MATRIX_FOLDER, read_matrix
from lead_hub.bench.race_replay import RaceFigures, ReplaySettings, TargetJob, run_replay, summed_up, target_races
from lead_hub.confidence import RULES

FEWEST_A_CLASS = ("capitals", "ethiopic")  # 26 and 50 classes, 350 images each
UNCAPPED = replace(RULES, largest_first_share=1.0)
OTHER_RULES = {
    "as recommend does": RULES,
    **{f"{number} a class": replace(UNCAPPED, first_images=1, first_per_class=number) for number in (2, 3, 4, 8)},
    "200, or 8 a class": UNCAPPED,
}


def main() -> None:
    for name, rules in OTHER_RULES.items():
        for figures in run_replay(settings=ReplaySettings(halves=("study",), rules=rules)).figures:
            show(f"study, {name}", figures)
    matrix, settings = read_matrix(MATRIX_FOLDER), ReplaySettings(halves=("held-out",))
    for column in matrix.positions("held-out"):
        target = matrix.targets[column].name
        if target in FEWEST_A_CLASS:
            races = target_races(TargetJob(matrix, column, "held-out", settings))
            show(f"{target}, as recommend does", summed_up("held-out", [races.own], is_drawn=False))
            show(f"{target}, as recommend does", summed_up("held-out", [races.drawn], is_drawn=True))


def show(what: str, found: RaceFigures) -> None:
    """One line; the passes of a larger run are computed, see `lead-hub bench --race`."""
    print(
        f"{what}: {found.n_candidates[1]} candidates, winner loses {found.lost_points:.2f}, set kept {found.kept:.1%},"
        f" passes {found.passes:.1%}, of a larger run {found.passes_of_run:.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
