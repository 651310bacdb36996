"""The published comparisons on the Hub's own checkpoints and datasets: `lead-hub bench --paper`.

`paper.json` names the Hub ids. `finetuned_accuracy.csv` holds the published accuracies after fine-tuning, in percent:
11 supervised and 12 self-supervised checkpoints on 11 datasets, those of the comparisons of SFDA (Shao et al., Not All
Models Are Equal, ECCV 2022) and PED (Li et al., Exploring Model Transferability through the Lens of Potential Energy,
ICCV 2023); the table does not say which figure stands where. `weighted_tau.csv` holds the published weighted Kendall
taus, each with its source.
"""

from lead_hub.bench.paper.agreement import PaperReport, PaperSettings, run_paper
from lead_hub.bench.paper.repositories import PAPER_LIST, read_paper_list
from lead_hub.bench.paper.text import groups, notes, save_paper, table

__all__ = [
    "PAPER_LIST",
    "PaperReport",
    "PaperSettings",
    "groups",
    "notes",
    "read_paper_list",
    "run_paper",
    "save_paper",
    "table",
]
