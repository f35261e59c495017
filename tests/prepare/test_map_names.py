"""Files by folder and pattern, sessions and runs by name or table, z-scores within them, catch trials."""

import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner
from map_studies import AFFINE, SHAPE, make_study

import jne
from jne.cli import main
from jne.prepare import prepare_arrays, prepare_fsaverage, prepare_nifti
from jne.prepare.map_names import entities, expand, sessions_and_runs
from jne.prepare.trials import read_trials

NAME = "sub-01_ses-{}_task-images_run-{}_space-T1w_desc-betas_bold.nii.gz"


@pytest.fixture
def layout(tmp_path):
    """A cut-down BIDS layout: one file a run, masks and references beside them; eleven runs in the second session."""
    study = make_study(tmp_path, sizes=((3, 4), (3,) * 11))
    maps = study.maps(int(np.prod(SHAPE)))
    for (session, run), rows in study.table.groupby(["session", "run"]).groups.items():
        folder = tmp_path / "out" / "sub-01" / f"ses-{session}" / "func"
        folder.mkdir(parents=True, exist_ok=True)
        values = np.moveaxis(maps[rows].reshape(-1, *SHAPE), 0, -1)
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), folder / NAME.format(session, run))
        mask = nibabel.Nifti1Image(np.ones(SHAPE, "u1"), AFFINE)
        nibabel.save(mask, folder / NAME.format(session, run).replace("desc-betas_bold", "desc-brain_mask"))
        nibabel.save(mask, folder / NAME.format(session, run).replace("desc-betas_bold", "boldref"))
    study.write_table()
    return study, maps, folder / NAME.format(2, 1).replace("desc-betas_bold", "desc-brain_mask")


def prepare(study, mask, **options):
    folder = study.folder
    options = {"maps": [folder / "out"], "mask": mask, **options}
    return prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "a.nc", **options)


@pytest.mark.parametrize("zscore", ["none", "run", "session"])
def test_a_folder_is_taken_in_the_order_of_sessions_and_runs(layout, zscore):
    study, maps, mask = layout
    lines = []
    data = prepare(study, mask, zscore=zscore, report=lines.append)
    study.check(data, maps, None if zscore == "none" else zscore)
    assert "maps: 13 files in order" in lines[0] and "ses-1_task-images_run-1_" in lines[0] and "run-11" in lines[0]
    assert data.attrs.get("zscore", "none") == zscore
    said = "\n".join(lines)
    assert ("the session of each map is from names of files" in said) == (zscore != "none")
    assert ("within 13 runs of 3 to 4 maps" in said) == (zscore == "run")


def test_columns_of_the_table_come_before_names(layout):
    study, maps, mask = layout
    half = np.arange(len(study.table)) // 20 + 1
    study.table["session"] = half
    study.write_table(("id", "split", "session"))
    lines = []
    study.check(prepare(study, mask, zscore="session", report=lines.append), maps, "session")
    assert any("the session of each map is from the column session of" in line for line in lines)


def test_runs_that_start_again_need_a_session(layout):
    study, _, mask = layout
    files = [study.folder / f"plain_{i}.nii.gz" for i in range(2)]
    for file, session in zip(files, (1, 2), strict=True):
        images = [nibabel.load(study.folder / "out/sub-01" / f"ses-{session}" / "func" / NAME.format(session, run))
                  for run in range(1, 12) if run < 3 or session == 2]  # fmt: skip
        nibabel.save(nibabel.concat_images(images, axis=3), file)
    study.write_table(("id", "split", "run"))
    with pytest.raises(ValueError, match=r"run 1 comes again after another one.*add a column session"):
        prepare(study, mask, maps=files, zscore="run")
    study.write_table()
    with pytest.raises(
        ValueError, match=r"the session of each map is not known; add a column session to .*trials\.csv"
    ):
        prepare(study, mask, maps=files, zscore="session")


def test_catch_trials_are_left_out_of_averages_and_z_scores(layout):
    """Two as an empty id, one as split none, with responses that would spoil everything."""
    study, maps, mask = layout
    table = pd.read_csv(study.write_table(("id", "split", "session")), dtype=str)
    repeated = table["id"].duplicated(keep=False).to_numpy()
    catch = np.flatnonzero(~repeated)[[0, 5, 9]]
    shown = ~np.isin(np.arange(len(table)), catch)
    table.loc[catch[:2], "id"], table.loc[catch[2], "split"] = "", "none"
    table.to_csv(study.folder / "trials.csv", index=False)
    for session, run in {(r.session, r.run) for r in study.table.iloc[catch].itertuples()}:
        path = study.folder / "out/sub-01" / f"ses-{session}" / "func" / NAME.format(session, run)
        image = nibabel.load(path)
        here = np.flatnonzero((study.table["session"] == session) & (study.table["run"] == run))
        values = image.get_fdata(dtype="f4")
        values[..., np.isin(here, catch)] = 1e4
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    lines = []
    data = prepare(study, mask, zscore="session", report=lines.append)
    assert "Left out: 3 catch trials, without id or of split none." in lines
    assert len(data.get("stimulus_id")) == 22 and data.attrs["n_maps"] == 37
    study.features = study.features.drop(index=study.table["id"].iloc[catch])
    means, _, _ = study.expected(maps, "session", shown)
    np.testing.assert_allclose(data.responses(), means.to_numpy(), rtol=1e-5, atol=1e-5)
    # Maps without the catch trials are as good, where each row names its file.
    trials = read_trials(study.folder / "trials.csv")
    assert len(trials.shown) == 40 and list(np.flatnonzero(~trials.shown)) == list(catch)


def test_surfaces_are_z_scored_too(tmp_path):
    study = make_study(tmp_path)
    study.write_table(("id", "split", "session", "run"))
    maps = study.maps(2562)
    for session in (1, 2):
        rows = np.flatnonzero(study.table["session"] == session)
        for letter in "LR":
            darrays = [nibabel.gifti.GiftiDataArray(maps[row]) for row in rows]
            image = nibabel.gifti.GiftiImage(darrays=darrays)
            nibabel.save(image, tmp_path / f"sub-01_ses-{session}_hemi-{letter}_space-fsaverage4_bold.func.gii")
    data = prepare_fsaverage(
        tmp_path / "trials.csv", tmp_path / "features.npz", tmp_path / "a.nc", zscore="run",
        maps={"left": [tmp_path], "right": [tmp_path / "*hemi-R*.gii"]},
    )  # fmt: skip
    study.check(data, np.hstack([maps, maps]), "run")
    assert list(data.get("hemisphere")) == ["left"] * 2562 + ["right"] * 2562


def test_arrays_are_z_scored_where_runs_are_given(tmp_path):
    rng = np.random.default_rng(0)
    runs, sessions = np.tile(np.repeat([1, 2, 3], 10), 2), np.repeat([1.0, 2.0], 30)
    responses = rng.normal(size=(60, 4)) * 3 + 20 * runs[:, None]
    np.savez(
        tmp_path / "a.npz", x=rng.normal(size=(60, 3)), y=responses, run=runs, ses=sessions, rep=np.ones((60, 2, 4))
    )
    command = [
        "prepare",
        "arrays",
        "--input",
        str(tmp_path / "a.npz"),
        "--out",
        str(tmp_path / "a.nc"),
        "--zscore",
        "run",
    ]
    result = CliRunner().invoke(main, [*command, "--map", "features=x,responses=y,run=run,session=ses"])
    assert result.exit_code == 0, result.output
    data = jne.load_dataset(tmp_path / "a.nc")
    for rows in np.arange(60).reshape(6, 10):
        np.testing.assert_allclose(data.responses()[rows], scipy.stats.zscore(responses[rows], axis=0), atol=1e-5)
    assert data.attrs["zscore"] == "run" and "run" not in data.content
    for mapping, message in (
        ("features=x,responses=y", "map says nothing of runs; add run=NAME"),
        ("features=x,responses=y,run=run,repeats=rep", "z-score the single trials first"),
    ):
        result = CliRunner().invoke(main, [*command, "--map", mapping])
        assert result.exit_code == 1 and message in result.output
    with pytest.raises(ValueError, match="zscore='day'; accepted: run, session, none"):
        prepare_arrays(tmp_path / "a.npz", [("features", "x"), ("responses", "y")], tmp_path / "b.nc", zscore="day")


def test_averages_cannot_be_z_scored_and_it_is_said_why():
    result = CliRunner().invoke(main, ["prepare", "images", "--zscore", "run"])
    assert result.exit_code == 1 and "averages over repeats from several runs" in result.output


def test_a_ceiling_in_percent_is_told_to_be_divided(tmp_path):
    rng = np.random.default_rng(0)
    ceiling = rng.uniform(0, 80, 4)
    np.savez(tmp_path / "a.npz", x=rng.normal(size=(60, 3)), y=rng.normal(size=(60, 4)), nc=ceiling)
    mapping = [("features", "x"), ("responses", "y"), ("noise_ceiling", "nc")]
    with pytest.raises(
        ValueError, match=r"4 of 4 values are outside \[0, 1\]; they seem to be in percent: divide by 100"
    ):
        prepare_arrays(tmp_path / "a.npz", mapping, tmp_path / "a.nc")


def test_what_a_name_says(tmp_path):
    name = tmp_path / "sub-01/ses-02/func" / "sub-01_ses-02_run-1_space-T1w_res-2_desc-preproc_bold.nii.gz"
    assert entities(name) == {
        "sub": "01", "ses": "02", "run": "1", "space": "T1w", "res": "2", "desc": "preproc"
    }  # fmt: skip
    assert entities(tmp_path / "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-03.nii.gz")["ses"] == "03"
    assert entities(tmp_path / "sub-3/ses-imagery01/TYPED.hdf5") == {"sub": "3", "ses": "imagery01"}
    files = [tmp_path / "a_ses-1_run-2.nii", tmp_path / "a_run-3.nii"]
    assert sessions_and_runs(files, [2, 1]).to_dict("list") == {"run": ["2", "2", "3"]}
    assert sessions_and_runs([tmp_path / "a.nii"], [2]).shape == (2, 0)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


CHOICES = {
    "two kinds": (["s_run-1_desc-a_bold.nii", "s_run-1_desc-b_bold.nii"], r"2 kinds \(s_desc-a_bold\.nii, s_desc-b"),
    "two subjects": (["sub-1/run-1/a_run-1.nii", "sub-2/run-2/a_run-2.nii"], "2 kinds .*sub-1/a.nii, sub-2/a.nii"),
    "no names": (["a.nii", "b.nii"], "no files of maps whose names say session or run"),
    "a run twice": (["a/s_run-01_bold.nii", "b/s_run-01_bold.nii"], "are of the same session and run; keep one"),
}


@pytest.mark.parametrize("kind", CHOICES)
def test_a_folder_that_leaves_a_choice_is_refused(tmp_path, kind):
    names, message = CHOICES[kind]
    touch(tmp_path, *names)
    with pytest.raises(ValueError, match=message):
        expand([tmp_path], "maps", print)


def test_a_pattern_without_names_is_in_natural_order(tmp_path):
    touch(tmp_path, "beta10.nii", "beta2.nii", "beta1.nii", "other.nii")
    found = expand([tmp_path / "beta*.nii", tmp_path / "other.nii"], "maps", print)
    assert [path.name for path in found] == ["beta1.nii", "beta2.nii", "beta10.nii", "other.nii"]
    with pytest.raises(ValueError, match=r"no file matches .*gamma\*"):
        expand([tmp_path / "gamma*"], "maps", print)
