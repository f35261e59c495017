"""What the paper shows and says, figure by figure: citations, in words of this book.

Whatever came out here is computed and stands elsewhere; a number in this module is the paper's, at the place named.
"""

from __future__ import annotations

from dataclasses import dataclass

from jne.study import CLAIMS


@dataclass(frozen=True)
class Statement:
    """One thing that the paper claims and that can turn out otherwise.

    Attributes
    ----------
    id : str
        Of one about brains, its id in `jne.study.CLAIMS`.
    text : str
    short : str
        In a few words, for a line that also has the verdict.
    """

    id: str
    text: str
    short: str


@dataclass(frozen=True)
class Row:
    """Figures and tables of the paper that belong together.

    Attributes
    ----------
    part : str
        The result of the paper that they are part of, "I" to "IV", or "A", what its appendix adds.
    items : str
        Their names in full, so that a search finds each.
    figures : tuple of str
        Their numbers, as `jne.plotting.show` has them; "4" stands for "4a", too.
    does : str
        What is done there.
    says : str
        What is found, with its numbers.
    statements : tuple of str
        Ids of what is claimed there.
    page : str
        The page of this book that has it, where no figure does.
    note : str
        What a reader should know of how it is looked at here.
    here : tuple of str
        Templates of what chapters recorded: ``{chapter[name]}``.
    """

    part: str
    items: str
    figures: tuple[str, ...]
    does: str
    says: str
    statements: tuple[str, ...] = ()
    page: str = ""
    note: str = ""
    here: tuple[str, ...] = ()


PARTS = {
    "I": "JNE measures nonlinearity: simulated units and networks",
    "II": "Two encoders predict alike, and JNE still tells areas apart",
    "III": "JNE rises along the visual hierarchy",
    "IV": "Stimuli differ in how nonlinear the responses to them are, and areas in which stimuli these are",
    "A": "The measure itself",
}
"""The paper's four results, and what its appendix adds on the measure."""

MATHEMATICS = {
    "unit-curve": ("The curve of JNE along a unit's input has the shape of the second derivative, and is zero where "
                   "the unit is linear", "the curve of a unit follows its second derivative"),
    "relu-peak": ("For ReLU the curve has a peak at 0, and nothing else", "a ReLU has its peak at the kink"),
    "place-order": ("JNE of a residual network orders the places of its activation: none < Loc1 < Loc2 < both, for "
                    "each of four activations", "none < Loc1 < Loc2 < both"),
    "samples": ("At least 100 Jacobians make JNE follow a known amplitude with r = 0.99", "100 samples are enough"),
    "scale": ("JNE does not change with the distribution or the scale of the inputs",
              "the scale of inputs is no matter"),
    "linear-zero": ("A linear response has one Jacobian, so its JNE is zero", "linear is zero"),
    "gain": ("That JNE grows with the gain of a response matters little in practice", "gain matters little"),
    "closed-form": ("Adding up the ways through the skips gives the Jacobian sooner than one backward pass for each "
                    "voxel", "the closed form is quick"),
}  # fmt: skip
"""Statements about simulations and computing: id -> text, short text."""

_SHORT = {
    "r2-alike": "the two R² are alike",
    "r2-lowest-in-v1": "they agree least in V1",
    "explained": "up to 74 % explained",
    "v1-lowest": "JNE is lowest in V1",
    "tiers": "PVC < IVC < HVC",
    "eba-highest": "JNE is highest in EBA",
    "people": "people and faces: FFA, EBA",
    "outdoor-scenes": "outdoor scenes: PPA, RSC",
    "l2": "the L2 norm gives the same map",
    "z-scored": "z-scores give the same map",
    "not-noise-ceiling": "JNE is no map of the noise ceiling",
}

STATEMENTS = {name: Statement(name, *texts) for name, texts in MATHEMATICS.items()}
STATEMENTS |= {name: Statement(name, text, _SHORT[name]) for name, text in CLAIMS.items()}
"""Everything that has a verdict: id -> statement."""

LEADING = {
    "I": ("unit-curve", "place-order"),
    "II": ("r2-alike", "v1-lowest", "eba-highest"),
    "III": ("tiers",),
    "IV": ("people", "outdoor-scenes"),
}
"""Of each of the four results, what stands for it on the landing page."""

FACES = {"I": "3a", "II": "6", "III": "7", "IV": "8c"}
"""Of each of the four results, the figure of the paper whose counterpart is shown with it."""

ROWS = (
    Row("I", "Figure 1", (), "The idea: features can hold the nonlinearity, and then R² does not tell encoders apart.",
        "The Jacobian does.", page="method", note="A drawing of the idea; it claims nothing that could be tested."),
    Row("I", "Figure 2", (), "The steps: features, encoder, Jacobians, JNE.",
        "Four layers, with skips round the second and the third.", page="method",
        note="Equations and steps, with what the release does otherwise."),
    Row("I", "Figure 3a–b, Figure 9", ("3a", "3b", "9"),
        "One unit of ReLU, leaky ReLU, GELU or Swish; a window of ±0.001 moves along its input, and JNE is that of "
        "1,001 slopes in it.", "The curve looks like the second derivative; ReLU has a single peak, at 0.",
        ("unit-curve", "relu-peak")),
    Row("I", "Figure 3c–e", ("3c", "3d", "3e"),
        "Untrained networks of 768 features, with the activation at a shallow place (Loc1), a deep one (Loc2), both or "
        "none; 200 draws of the weights.", "None is 0, and Loc1 < Loc2 < both for each of four activations.",
        ("place-order",)),
    Row("I", "Table 1", ("table 1",), "10 to 1,000 random Jacobians, times |sin x|.",
        "JNE follows |sin x| with r = 0.87 from 10 Jacobians, and at least 0.99 from 100 on.", ("samples",)),
    Row("I", "Table 2, Table 3", ("table 2", "table 3"), "The networks again, with uniform and normal inputs of ranges "
        "100, 1,000 and 10,000.", "JNE stays the same.", ("scale",), page="simulations"),
    Row("II", "Figure 4, Figure 13, Figure 14", ("4", "13", "14"),
        "Maps of R² of the linear and of the nonlinear encoder, both against the noise ceiling, and their difference.",
        "Alike, up to 74 % of what can be explained; they differ in higher areas only.", ("explained",),
        here=("Median R² is {spatial_distribution[r2_linear]:.3f} (linear) and {spatial_distribution[r2]:.3f} "
              "(nonlinear) in the first subject.",)),
    Row("II", "Figure 5, Figure 15", ("5", "15"),
        "R² of the one encoder against that of the other, for the whole brain and ten areas.",
        "Lowest Pearson r: 0.82, in V1 of S1; in the others 0.86, in V1 of S5.", ("r2-alike", "r2-lowest-in-v1"),
        here=("The planted shares of this cortex are large. With small ones, and the same noise ceiling everywhere, "
              "r is {spatial_distribution[premise_rows.share small, ceiling flat.r]:.2f}, and JNE of the highest area "
              "{spatial_distribution[premise_rows.share small, ceiling flat.ratio]:.2f} times that of the lowest.",)),
    Row("II", "Figure 6, Figure 16, Figure 17", ("6", "16", "17"),
        "JNE on the cortex, and its distribution in the whole brain and ten areas.",
        "Highest in higher visual cortex, at the junction of temporal, parietal and occipital lobe and in parts of "
        "prefrontal cortex; lowest, and narrow, in V1.", ("v1-lowest", "eba-highest"),
        here=("Lowest mean over subjects: {spatial_distribution[jne_where.low]}, "
              "{spatial_distribution[jne_of.low]:.3f}; highest: {spatial_distribution[jne_where.high]}, "
              "{spatial_distribution[jne_of.high]:.3f}.",)),
    Row("III", "Figure 7, Figure 18", ("7", "18"),
        "Numbers of voxels by JNE and distributions for three tiers: V1; V2 to V4; areas of categories. One-sided "
        "tests of every pair, with voxels as units.", "PVC < IVC < HVC in all four subjects.", ("tiers",)),
    Row("IV", "Figure 8, Figure 10, Figure 11, Figure 12, Figure 21, Table 5",
        ("8", "10", "11", "12", "21", "table 5"),
        "Test images in 43 clusters (t-SNE, K-means, silhouette); mean JNE-SS by cluster and area, scaled to 0 to 1 "
        "within each area, and unscaled.",
        "Highest in EBA; outdoor scenes in PPA and RSC, people and faces in FFA and EBA; broad in V1 to V4. No test.",
        ("people", "outdoor-scenes"),
        here=("With {sample_selectivity[n_clusters]} clusters in place of categories, mean JNE-SS is highest in "
              "{sample_selectivity[highest_area]}.",)),
    Row("A", "Table 4", ("table 4",), "Four variants of JNE: L1 or L2 norm, of Jacobians as they are or z-scored.",
        "L1 with L2 r = 1.00, every pair at least 0.90, over significant visual voxels of S1.", ("l2", "z-scored")),
    Row("A", "Appendix A.1", (), "Linear means: one Jacobian for all stimuli.", "So JNE is 0 for a linear encoder.",
        ("linear-zero",), page="trust"),
    Row("A", "Appendix A.8, A.9.1", (),
        "One extractor serves all voxels, so what differs between voxels is the encoder's slope. For Gaussian slopes "
        "JNE has a closed form, in which gain and nonlinearity are one product.",
        "Coupled in theory, little in practice.", ("not-noise-ceiling", "gain"), page="trust",
        note="The paper argues this; it does not put JNE beside the noise ceiling."),
    Row("A", "Equation 8", (), "The Jacobian of the encoder as a sum over the ways through its skips.",
        "20 to 40 s, where one backward pass for each voxel took days.", ("closed-form",), page="performance"),
)  # fmt: skip
"""The paper, row by row."""
