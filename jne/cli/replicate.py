"""`jne replicate`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import click

from jne.cli._fitting import fit_options, study_options
from jne.cli._main import main
from jne.cli._telling import expected_time, fits_of_study, layer_to_study, say, say_json, tell, telling


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program: a list, one object a claim.")
@study_options
@fit_options
def replicate(files, as_json, layer, seed, n_seeds, max_memory, **encoder_options):
    """Say of each claim of the paper whether it holds on the datasets FILE..., one file a subject.

    Fits the encoders as `jne report` does, once more with as many other seeds, and, where a dataset has several feature
    layers, with each voxel's best layer. Everything is kept in results/. A claim

    \b
      holds            JNE shows it, and it survives whatever can be tried of
                       (a) the best layer of each voxel in place of one for all,
                       (b) areas matched on R² / noise ceiling,
                       (c) encoders of other seeds,
                       (d) the share of the prediction that held-out responses
                           confirm as nonlinear, in place of JNE;
      holds only if    JNE shows it, but not with one of these: which, is said;
      does not hold    JNE does not show it;
      cannot be tested for a reason that is said, such as one area, or no
                       categories.

    Where fewer than a tenth of a subject's voxels are significant, or their median R² is below zero, nothing is
    predicted, and the subject has no part; without any other, no claim can be tested. A claim must show in every
    subject. Means are over significant voxels, R² is over all.

    \b
    What shows a claim:
      r2-alike         Pearson r over voxels of the two R² is at least .82, the
                       lowest of the paper, in all voxels and in each area of ten
                       voxels or more (holds only if: in all voxels).
      r2-lowest-in-v1  This r is lowest in V1.
      explained        99 % of significant voxels reach up to at least 74 % of
                       their noise ceiling.
      v1-lowest,       V1 has the lowest, EBA the highest mean of the ten
      eba-highest      areas that are there. (b) compares how far each area is
                       from what the regression of the others on R² / noise
                       ceiling says of it.
      tiers            The means of PVC, IVC and HVC over their areas are in this
                       order, and over areas, averaged over subjects, JNE
                       rises with the tier: one-sided p at most .05 by smooth
                       maps without a trend where areas are of HCP-MMP1.0 on
                       fsLR-32k, else with areas exchanged. (b) is the partial
                       rank correlation, its p likewise. The published test over
                       voxels is told beside, with how often it calls tiers
                       that were dealt out to the areas at random.
      people,          The mean JNE-SS of FFA and EBA is highest for a category
      outdoor-scenes   of people, faces or bodies, that of PPA and RSC for outdoor
                       scenes or landscapes, beyond what other areas have for it.
                       (d) is a permutation test of what responses confirm by
                       category (family-wise p at most .05); (b) cannot be tried.
      l2, z-scored     Maps of the variants correlate with .90 or more (z-scored
                       holds only if: with z-scores over stimuli and features).
      not-noise-ceiling  The rank correlation with it is between -.30 and .30.

    The first three are about accuracy and the last three about the measure: (a) to (d) are not asked of them, but for
    r2-lowest-in-v1, of which (a) and (c) are.

    Areas are known by their names in NSD's atlases, Kastner2015 and HCP-MMP1.0. Where the paper's ten areas are not
    there, others stand in: on the synthetic cortex MT and its neighbours for EBA, PHA1-3 for PPA, POS1, DVT and ProS
    for RSC, FFC for FFA; nothing for OPA and a second FFA, so that eight of the ten are there. Of synthetic datasets a
    verdict says whether what was planted is recovered, and nothing about a brain.

    One FILE that is the `summary.csv` of a batch stands for its runs: those of *Hierarchy* with `claims: true` record
    their verdicts. A claim then holds where it does in every run that can test it, does not hold where none shows it,
    and else holds only for a part of the runs: how many of each subject, layer, seed and whatever else the grid varied,
    is said. Nothing is fitted, so the options below, but for --json, do nothing.

    The exit status is 0 whatever the verdicts, and 1 where a file cannot be used.

    \b
    Examples:
      jne replicate subj01.nc subj02.nc subj05.nc subj07.nc
      jne replicate mydata.nc --hidden-size 256 --lr 0.003 --json > verdicts.json
      jne replicate mydata.nc --layer best --seeds 3
      jne replicate _build/batch/study/summary.csv
    """
    from jne.datasets import load_dataset
    from jne.study import areas_text, claims_of_runs, read_runs, replicate_text
    from jne.study import replicate as judge

    if any(file.lower().endswith(".csv") for file in files):
        with telling():
            if len(files) > 1:
                raise ValueError(
                    f"FILE... are {', '.join(files)}; give datasets (.nc), or the summary.csv of one batch"
                )
            found = claims_of_runs(read_runs(files[0]))
        say_json(found) if as_json else say(replicate_text(found))
        return
    with telling():
        datasets = {_name(file, files): load_dataset(file) for file in files}
        if len(datasets) < len(files):
            raise ValueError(f"FILE... has a file more than once ({', '.join(files)}); give each subject's once")
        first = next(iter(datasets.values()))
        layer = layer_to_study(first, layer)
        ways = (layer, layer, "best")
        fits = sum(fits_of_study(data, way, n_seeds) for data in datasets.values() for way in ways)
        tell(expected_time(first, layer, fits, encoder_options))
        options = {"encoder_options": encoder_options, "max_memory": max_memory, "progress": sys.stderr.isatty()}
        found = judge(datasets, layer, seed=seed, n_seeds=n_seeds, **options)
    if as_json:
        say_json(found)
        return
    subjects = f"{len(datasets)} {'subject' if len(datasets) == 1 else 'subjects'}: {', '.join(datasets)}"
    say("\n".join([*textwrap.wrap(subjects, 100), *textwrap.wrap(areas_text(datasets), 100), ""]))
    say(replicate_text(found))


def _name(file: str, files: tuple[str, ...]) -> str:
    """A file's name, or its whole path where another file has the same name."""
    own = Path(file).stem
    return own if [Path(other).stem for other in files].count(own) == 1 else file
