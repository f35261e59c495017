"""One analysis from data to result: its refits, several subjects, its null, the report."""

from jne.study.best_layer import BestLayerStudy, assemble, best_layers
from jne.study.refits import shuffle_within
from jne.study.report import report, report_text
from jne.study.selectivity_null import ungated_responses, ungated_tables
from jne.study.study import Study, run_study
from jne.study.subjects import choose_layers, load_subjects, run_subjects

__all__ = [
    "BestLayerStudy",
    "Study",
    "assemble",
    "best_layers",
    "choose_layers",
    "load_subjects",
    "report",
    "report_text",
    "run_study",
    "run_subjects",
    "shuffle_within",
    "ungated_responses",
    "ungated_tables",
]
