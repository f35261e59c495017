"""One analysis from data to result: its refits, several subjects, its null, the report, the paper's claims."""

from jne.study.best_layer import BestLayerStudy, assemble, best_layers
from jne.study.refits import shuffle_within
from jne.study.replicate import areas_text, replicate, replicate_text
from jne.study.report import report, report_text
from jne.study.selectivity_null import ungated_responses, ungated_tables
from jne.study.study import Study, run_study
from jne.study.subjects import choose_layers, load_subjects, run_subjects

__all__ = [
    "BestLayerStudy",
    "Study",
    "areas_text",
    "assemble",
    "best_layers",
    "choose_layers",
    "load_subjects",
    "replicate",
    "replicate_text",
    "report",
    "report_text",
    "run_study",
    "run_subjects",
    "shuffle_within",
    "ungated_responses",
    "ungated_tables",
]
