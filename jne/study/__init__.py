"""One analysis from data to result: its refits, several subjects, its null, the report, the paper's claims."""

from jne.study.best_layer import BestLayerStudy, assemble, best_layers
from jne.study.claims import CLAIMS, VERDICTS
from jne.study.claims_of_runs import claims_of_runs, read_runs, recorded_claims
from jne.study.export import check_folder, export_text, mean_jacobian, write_maps
from jne.study.refits import shuffle_within
from jne.study.replicate import judge_studies, replicate
from jne.study.report import report, report_text
from jne.study.selectivity_null import ungated_responses, ungated_tables
from jne.study.study import Study, run_study
from jne.study.subjects import choose_layers, load_subjects, run_subjects
from jne.study.verdict_texts import areas_text, replicate_text, spoken_verdict

__all__ = [
    "CLAIMS",
    "VERDICTS",
    "BestLayerStudy",
    "Study",
    "areas_text",
    "assemble",
    "best_layers",
    "check_folder",
    "choose_layers",
    "claims_of_runs",
    "export_text",
    "judge_studies",
    "load_subjects",
    "mean_jacobian",
    "read_runs",
    "recorded_claims",
    "replicate",
    "replicate_text",
    "report",
    "report_text",
    "run_study",
    "run_subjects",
    "shuffle_within",
    "spoken_verdict",
    "ungated_responses",
    "ungated_tables",
    "write_maps",
]
