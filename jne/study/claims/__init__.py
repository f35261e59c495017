"""The paper's claims, each judged on the results of anyone's datasets. Pure: nothing here fits or reads a file.

`evidence.Evidence` is what a judgement is made of, `verdicts` has the verdicts and the rule for claims about areas, and
one module each the claims about accuracy, hierarchy, categories and the measure itself.
"""

from __future__ import annotations

from jne.study.claims.accuracy import accuracy_claims
from jne.study.claims.categories import category_claims
from jne.study.claims.evidence import Evidence
from jne.study.claims.hierarchy import hierarchy_claims
from jne.study.claims.measure import measure_claims
from jne.study.claims.verdicts import CLAIMS, ONLY_IF, VERDICTS, Verdict, untested

__all__ = ["CLAIMS", "ONLY_IF", "VERDICTS", "Evidence", "Verdict", "judge_all", "untested"]


def judge_all(evidence: Evidence) -> list[Verdict]:
    """A verdict for each of `CLAIMS`, in their order."""
    found = [*accuracy_claims(evidence), *hierarchy_claims(evidence)]
    found += [*category_claims(evidence), *measure_claims(evidence)]
    order = list(CLAIMS)
    return sorted(found, key=lambda verdict: order.index(verdict.id))
