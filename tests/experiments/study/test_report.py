"""The study's report: statistics against scipy, tables, the picture, the summary file."""

from __future__ import annotations

import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from coursekit.errors import ArgumentError, DataError
from coursekit.experiments import study
from coursekit.experiments.study import commands
from coursekit.experiments.study.costs import whole_study_seconds
from coursekit.experiments.study.jobs import Study
from coursekit.experiments.study.pacing import PaceJob
from coursekit.experiments.study.records import Store, read_record, write_record
from coursekit.experiments.study.tables import paired_difference
from coursekit.experiments.study.variants import COMPARISONS

mpl.use("Agg")

DATA = study.DataInfo("cifar10", "imported", "abc", 45_000, 5_000, 10_000)
BUDGET = study.PROFILES["full"]


def result(rng, base, *, epochs=6, mc=False, **changes):
    accuracy = float(base + 0.01 * rng.standard_normal())
    curve = np.linspace(0.2, accuracy, epochs) + 0.002 * rng.standard_normal(epochs)
    found = {
        "history": {"val_accuracy": curve.tolist()},
        "best_epoch": epochs - 1,
        "validation_loss": 1 - accuracy,
        "validation_accuracy": accuracy,
        "test_accuracy": accuracy - 0.005,
        "peak_epoch": epochs,
        "peak_test_accuracy": accuracy + 0.01 * float(rng.standard_normal()),
        "seconds": 30.0,
        "seconds_per_epoch": 2.0,
        "steps_per_second": 700.0,
        "threads": 1,
        "versions": {"keras": "3.15.1"},
    }
    if mc:
        more = ("mc_validation_accuracy", accuracy + 0.002), ("mc_test_accuracy", accuracy)
        found |= {**dict(more), "ece": 0.09, "mc_ece": 0.05}
    return {**found, **changes}


@pytest.fixture
def fill(out):
    """Write the records of a study that never ran, and return its folder."""

    def fill(seeds=5, variants=tuple(study.VARIANTS), skip=(), edge=False, **changes):
        plan = Study(variants, tuple(range(seeds)), "full", BUDGET, DATA)
        store, rng = Store(out), np.random.default_rng(0)
        with store.opened():
            store.remember(variants, range(seeds))
        for i, variant in enumerate(variants):
            trials = plan.search_jobs(variant)
            best = 0 if edge else len(trials) // 2
            for j, trial in enumerate(trials):
                accuracy = 0.4 - 0.02 * abs(j - best)
                judged = {"validation_loss": 1 - accuracy, "validation_accuracy": accuracy}
                store.save(trial, result(rng, 0.3, **judged))
            for job in plan.run_jobs(variant, trials[best].learning_rate):
                if (variant, job.seed) not in skip:
                    mc = variant == "alpha_dropout"
                    store.save(job, result(rng, 0.45 + 0.02 * i, mc=mc, epochs=6 + i, **changes))
        return out

    return fill


@pytest.fixture
def pace(fill):
    """Add measurements to a study, seconds by variant, and return its folder."""

    def pace(seconds, *, workers=2, machine="toy", **changes):
        out = changes.pop("out", None) or fill()
        rates = {r["variant"]: r["learning_rate"] for r in study.load_records(out)}
        for name, measured in seconds.items():
            for number, value in enumerate(measured):
                common = ("full", BUDGET, DATA, 1, 4, workers)
                job = PaceJob("pace", name, number, rates[name], *common)
                found = {"seconds_per_epoch": value, "steps_per_second": job.steps / value}
                found |= {"epoch_seconds": [[9.0, value]], "machine": machine, **changes}
                Store(out).save(job, found)
        return out

    return pace


EACH = {name: [3.0 + i, 5.0 + i, 4.5 + i] for i, name in enumerate(study.VARIANTS)}


def accuracies(out, variant, name="test_accuracy"):
    records = (r for r in study.load_records(out) if r["kind"] == "run")
    return [r[name] for r in sorted(records, key=lambda r: r["seed"]) if r["variant"] == variant]


def test_the_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(3)
    first, second = rng.random(5), rng.random(5)
    found = paired_difference(dict(enumerate(first)), dict(enumerate(second)))
    expected = stats.ttest_rel(first, second)
    assert found.mean == pytest.approx(np.mean(first - second))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.is_clear() == (expected.pvalue < 0.05)


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_a_difference_is_clear_exactly_when_the_test_rejects(shift):
    first = np.array([1.0, 2.0, 3.5, 3.0]) + shift
    second = np.array([1.5, 1.0, 4.0, 3.2])
    found = paired_difference(dict(enumerate(first)), dict(enumerate(second)))
    assert found.is_clear() == (stats.ttest_rel(first, second).pvalue < 0.05)


def test_only_seeds_that_both_have_are_paired():
    found = paired_difference({0: 1.0, 1: 2.0, 2: 9.0}, {1: 1.0, 2: 7.0, 3: 50.0})
    assert (found.mean, found.n) == (1.5, 2)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_equal_differences_give_an_interval_without_width():
    found = paired_difference({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0})
    assert (found.low, found.high) == (1.0, 1.0)


def test_the_table_has_mean_and_spread_of_every_variant_beside_the_published_run(fill):
    out = fill()
    text = study.report(out=out).text()
    for variant, published in (("baseline", "46.8 (epoch 29)"), ("one_cycle", "52.4 (15 epochs)")):
        line = next(line for line in text.splitlines() if line.startswith(f"| {variant} "))
        test = 100 * np.array(accuracies(out, variant))
        valid = 100 * np.array(accuracies(out, variant, "validation_accuracy"))
        assert f"{test.mean():.1f} ± {test.std(ddof=1):.1f}" in line
        assert f"{valid.mean():.1f} ± {valid.std(ddof=1):.1f}" in line
        assert published in line
    assert "45,000 training" in text
    assert "imported" in text


def test_mc_dropout_is_a_line_of_its_own_with_its_calibration(fill):
    out = fill()
    report = study.report(out=out)
    names = [row.name for row in report.rows()]
    assert names.index("mc_dropout") == names.index("alpha_dropout") + 1
    mean = 100 * np.mean(accuracies(out, "alpha_dropout", "mc_test_accuracy"))
    line = next(line for line in report.text().splitlines() if line.startswith("| mc_dropout "))
    assert f"{mean:.1f} ±" in line
    assert "9.0 points, with MC dropout 5.0" in report.text()


def test_the_differences_are_paired_against_the_baseline_and_the_step_before(fill):
    out = fill()
    found = {(first, second): d for first, second, d in study.report(out=out).differences()}
    assert list(found) == list(COMPARISONS)
    selu, norm = accuracies(out, "selu"), accuracies(out, "batch_norm")
    expected = stats.ttest_rel(selu, norm).confidence_interval(0.95)
    difference = found["selu", "batch_norm"]
    assert (difference.low, difference.high) == pytest.approx(tuple(expected), abs=2e-5)


def test_a_table_says_what_watching_the_accuracy_would_have_restored(fill):
    out = fill()
    text = study.report(out=out).text()
    table = text[text.index("| restored by") :].split("\n\n")[0]
    assert [line.split()[1] for line in table.splitlines()[2:]] == [
        name for name, variant in study.VARIANTS.items() if not variant.cycle
    ]
    by_loss, by_accuracy = (accuracies(out, "selu", f"{p}test_accuracy") for p in ("", "peak_"))
    low, high = stats.ttest_rel(by_accuracy, by_loss).confidence_interval(0.95)
    row = next(line for line in table.splitlines() if "selu" in line)
    assert f"{100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−") in row
    shown = [float(cell.split(" ±")[0]) for cell in row.split("|")[3:6:2]]
    assert shown == pytest.approx([100 * np.mean(by_loss), 100 * np.mean(by_accuracy)], abs=0.06)


def test_runs_that_have_not_noted_it_have_no_such_table(fill):
    assert "restored by" not in study.report(out=fill(peak_test_accuracy=None)).text()


def test_missing_runs_are_named_and_the_rest_is_reported(fill):
    skip = [("selu", 1), ("selu", 4), *(("one_cycle", seed) for seed in range(5))]
    report = study.report(out=fill(skip=skip))
    text = report.text()
    assert "Not run yet: selu, seed 1; selu, seed 4; one_cycle, seed 0" in text
    assert {row.name: len(row.test) for row in report.rows()}["selu"] == 3
    pairs = {(a, b): d.n for a, b, d in report.differences()}
    assert pairs["selu", "baseline"] == 3
    assert ("one_cycle", "baseline") not in pairs


def test_missing_runs_are_found_without_the_list_of_what_was_asked_for(fill):
    out = fill(skip=[("selu", 1)])
    (out / "study.json").unlink()
    assert "Not run yet: selu, seed 1." in study.report(out=out).text()


def test_one_seed_has_no_spread_and_says_so(fill):
    text = study.report(out=fill(seeds=1)).text()
    assert "±" not in text
    assert "One seed: no spread" in text
    assert "better" not in text.split("- One seed")[0]


def test_one_variant_with_one_seed_makes_a_report(fill):
    report = study.report(out=fill(seeds=1, variants=("selu",)))
    assert report.differences() == []
    assert "| selu" in report.text()
    assert "selu" in report.alt()


def test_a_chosen_rate_at_the_edge_of_the_grid_is_reported(fill):
    text = study.report(out=fill(edge=True)).text()
    assert "selu: its learning rate is at the edge" in text


def test_a_chosen_rate_within_the_grid_is_not(fill):
    assert "edge" not in study.report(out=fill()).text()


def test_a_diverged_run_without_result_is_counted_out_and_named(fill):
    out = fill()
    plan = Study(("selu",), (2,), "full", BUDGET, DATA)
    rate = next(r for r in study.load_records(out) if r["variant"] == "selu" and r["seed"] == 2)
    names = ("validation_loss", "validation_accuracy", "test_accuracy", "best_epoch")
    gone = dict.fromkeys(names)
    Store(out).save(
        plan.run_jobs("selu", rate["learning_rate"])[0],
        result(np.random.default_rng(0), 0.4, diverged=True, **gone),
    )
    report = study.report(out=out)
    assert "selu: diverged with seed 2." in report.text()
    assert {row.name: len(row.test) for row in report.rows()}["selu"] == 4


def test_damaged_records_are_left_out_aloud(fill):
    out = fill()
    (out / "records" / "run-selu-3.json").write_text("{")
    text = study.report(out=out).text()
    assert "Left out: run-selu-3.json is cut off" in text
    assert "Not run yet: selu, seed 3." in text


def test_seconds_of_different_thread_counts_are_called_incomparable(fill):
    out = fill(variants=("baseline",))
    fill(variants=("selu",), threads=2)
    assert "Seconds are not comparable: runs had 1, 2 threads" in study.report(out=out).text()


def test_the_table_takes_median_and_range_of_the_pace_that_was_measured_apart(pace, fill):
    own = study.report(out=fill()).text()
    text = study.report(out=pace(EACH)).text()
    for i, name in enumerate(study.VARIANTS):
        line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
        assert f"| {4.5 + i:.2f} ({3 + i:.2f} to {5 + i:.2f}) " in line
        epochs = np.array([6 + i] * 5)  # as `fill` has them
        assert f"| {np.mean((4.5 + i) * epochs):.0f} " in line
        before = next(line for line in own.splitlines() if line.startswith(f"| {name} "))
        assert "| 2.00 " in before
        assert "| 30 " in before
    assert "Seconds are the runs' own: s/epoch is" in own
    assert "Seconds are measured apart from the runs, each variant beside itself in 2 pro" in text
    assert "range of 3 × 4 epochs" in text
    assert "own" not in text.split("Seconds are")[1]


def test_the_seconds_of_a_run_are_its_epochs_at_the_measured_pace(pace, fill):
    out = fill(variants=("selu",), seeds=2)
    job = Study(("selu",), (1,), "full", BUDGET, DATA).run_jobs("selu", 5e-4)[0]
    Store(out).save(job, result(np.random.default_rng(1), 0.5, epochs=10))
    row = study.report(out=pace({"selu": [2.0, 7.0]}, out=out)).rows()[0]
    assert row.measured_apart
    assert row.seconds_per_epoch == [2.0, 7.0]
    assert row.seconds == [6 * 4.5, 10 * 4.5]


def test_the_runs_own_seconds_stay_in_the_summary_beside_the_pace(pace, fill, tmp_path):
    before = study.report(out=fill()).summary
    report = study.report(out=pace(EACH))
    for name, found in report.summary["variants"].items():
        assert found["runs"] == before["variants"][name]["runs"]
        assert found["pace"]["seconds_per_epoch"] == EACH[name]
        assert "pace" not in before["variants"][name]
    report.save_summary(tmp_path / "summary.json")
    again = study.load_report(tmp_path / "summary.json")
    assert again.text() == report.text()
    assert again.rows() == report.rows()


def test_the_whole_studys_seconds_are_all_its_epochs_at_their_pace(pace, fill):
    out = pace({"baseline": [2.0], "selu": [3.0]}, out=fill(variants=("baseline", "selu")))
    report = study.report(out=out)
    trials = study.PROFILES["full"].search_rates * study.PROFILES["full"].search_epochs
    seconds = 2.0 * (5 * 6 + trials) + 3.0 * (5 * 7 + trials)
    assert whole_study_seconds(report.summary) == pytest.approx(seconds)
    assert f"the search's too, take {seconds / 2 / 60:.0f} minutes" in report.text()
    assert whole_study_seconds(study.report(out=fill()).summary) is None


def test_seconds_of_two_sources_are_told_apart_and_called_incomparable(pace, fill):
    out = fill(variants=("baseline", "selu"))
    text = study.report(out=pace({"selu": [3.0]}, out=out)).text()
    assert "Seconds of selu are measured apart" in text
    assert "Seconds of baseline are the runs' own" in text
    assert "measured apart are not comparable with those of runs" in text
    assert "minutes" not in text


def test_paces_of_several_machines_are_called_incomparable(pace, fill):
    out = pace({"baseline": [3.0]}, out=fill(variants=("baseline", "selu")))
    assert "not comparable" not in study.report(out=pace({"selu": [3.0]}, out=out)).text()
    text = study.report(out=pace({"selu": [3.0]}, machine="other", workers=4, out=out)).text()
    assert "Seconds are not comparable: the measurements differ in workers and machines" in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"profile": "quick"}, "another profile than the runs"),
        ({"revision": 99}, "another revision than the runs"),
        ({"learning_rate": 0.7}, "another learning rate than the runs"),
        ({"variant": "gelu"}, "no run of its variant beside it"),
    ],
)
def test_a_pace_that_does_not_belong_to_the_runs_is_left_out_aloud(pace, change, reason):
    out = pace(EACH)
    path = out / "records" / "pace-selu-1.json"
    write_record(path, {**read_record(path), **change})
    report = study.report(out=out)
    assert f"Left out: pace-selu-1.json has {reason}." in report.text()
    assert report.summary["variants"]["selu"]["pace"]["seconds_per_epoch"] == [5.0, 6.5]


def test_the_committed_study_says_where_its_seconds_come_from():
    found = study.load_report()
    apart = all(variant.get("pace") for variant in found.summary["variants"].values())
    said = "Seconds are measured apart" if apart else "Seconds are the runs' own"
    assert said in found.text()


def test_an_empty_folder_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="expected a folder with finished runs"):
        study.report(out=tmp_path)
    with pytest.raises(DataError, match="holds no records"):
        study.load_records(tmp_path)


def test_out_and_profile_together_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="profile: expected none together with out"):
        study.report(out=tmp_path, profile="full")


def test_the_only_profile_that_was_run_is_found(fill, tmp_path, monkeypatch):
    out = fill()
    (tmp_path / "work" / "study").mkdir(parents=True)
    out.rename(tmp_path / "work" / "study" / "full")
    monkeypatch.chdir(tmp_path)
    assert study.report().summary["profile"] == "full"
    with pytest.raises(DataError):
        study.report(profile="quick")


def test_the_summary_file_makes_the_same_report_and_is_small(fill, tmp_path):
    report = study.report(out=fill())
    path = tmp_path / "summary.json"
    report.save_summary(path)
    again = study.load_report(path)
    assert again.text() == report.text()
    assert again.alt() == report.alt()
    assert path.stat().st_size < 60_000
    assert json.loads(path.read_text())["variants"]["selu"]["runs"][0]["curve"]


def test_a_summary_with_a_variant_of_another_version_is_one_sentence(fill, tmp_path):
    path = tmp_path / "summary.json"
    study.report(out=fill(seeds=1)).save_summary(path)
    path.write_text(path.read_text().replace('"selu"', '"gelu"'))
    with pytest.raises(
        DataError, match=r"summary: expected the variants .*one_cycle, combined, got .*'gelu'"
    ):
        study.load_report(path)


def test_records_of_another_version_or_study_are_left_out_aloud(fill):
    out = fill(variants=("baseline", "selu"), seeds=2)
    for name, change in (("run-selu-0", {"variant": "gelu"}), ("run-selu-1", {"profile": "quick"})):
        path = out / "records" / f"{name}.json"
        write_record(path, {**read_record(path), **change})
    text = study.report(out=out).text()
    assert "Left out: gelu, seed 0: an unknown variant." in text
    assert "Left out: selu, seed 1: of another study." in text
    assert "Not run yet: selu, seed 0; selu, seed 1." in text


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 1}'])
def test_a_file_that_is_no_summary_is_one_sentence(tmp_path, content):
    path = tmp_path / "summary.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match="summary: expected a file made by `study report"):
        study.load_report(path)


def test_a_record_is_not_taken_for_a_summary(fill):
    path = fill(seeds=1) / "records" / "run-selu-0.json"
    with pytest.raises(DataError, match="has no variants"):
        study.load_report(path)


def test_the_picture_has_a_line_and_a_band_per_variant_to_the_first_stop(fill):
    fig = study.report(out=fill()).figure()
    epochs, seconds = fig.axes
    lines = {line.get_label(): line for line in epochs.lines if len(line.get_xdata()) > 1}
    assert list(lines) == list(study.VARIANTS)
    assert len(lines["selu"].get_xdata()) == 6 + list(study.VARIANTS).index("selu")
    assert len(epochs.collections) == len(seconds.collections) == len(study.VARIANTS)
    assert len({line.get_color() for line in lines.values()}) == len(study.VARIANTS)
    assert len({str(line._dash_pattern) for line in lines.values()}) == len(study.VARIANTS)
    assert epochs.get_title(loc="left").startswith("combined reaches")
    mpl.pyplot.close(fig)


def test_the_picture_is_drawn_over_the_measured_seconds_with_their_range(pace, fill):
    out = pace({"selu": [3.0, 5.0, 4.5]}, out=fill(variants=("selu",)))
    fig = study.report(out=out).figure()
    over_epochs, over_seconds = fig.axes
    epochs, seconds = (axes.lines[0].get_xdata() for axes in (over_epochs, over_seconds))
    np.testing.assert_allclose(seconds, 4.5 * epochs)
    best = 5  # the epoch before the last, as `result` has it
    assert over_seconds.lines[1].get_xdata() == pytest.approx([4.5 * best])
    ends = over_seconds.collections[-1].get_segments()[0][:, 0]
    np.testing.assert_allclose(ends, [3.0 * best, 5.0 * best])
    assert len(over_epochs.collections) == 1
    mpl.pyplot.close(fig)


def test_the_line_ends_where_the_first_seed_stops(fill):
    out = fill(variants=("selu",))
    job = Study(("selu",), (0,), "full", BUDGET, DATA).run_jobs("selu", 5e-4)[0]
    Store(out).save(job, result(np.random.default_rng(1), 0.5, epochs=3))
    fig = study.report(out=out).figure()
    assert len(fig.axes[0].lines[0].get_xdata()) == 3
    mpl.pyplot.close(fig)


def test_the_alternative_text_says_what_each_line_does(fill):
    alt = study.report(out=fill()).alt()
    for variant in study.VARIANTS:
        assert re.search(rf"{variant} starts at \d+% and reaches \d+% in epoch \d+ of \d+", alt)


def test_the_command_prints_the_report_and_writes_its_files(fill, tmp_path):
    out, summary = fill(), tmp_path / "summary.json"
    arguments = ["report", "--out", str(out), "--summary", str(summary)]
    answer = CliRunner().invoke(commands.app, arguments, catch_exceptions=False)
    assert answer.exit_code == 0
    assert "| baseline" in answer.output
    text = (out / "report.md").read_text()
    assert study.load_report(summary).text() in text
    assert "![Two charts" in text
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_refuses_an_unknown_variant_before_it_loads_anything(tmp_path):
    arguments = ["run", "--variants", "sellu", "--out", str(tmp_path / "x")]
    answer = CliRunner().invoke(commands.app, arguments)
    assert isinstance(answer.exception, ArgumentError)
    assert "baseline, batch_norm, selu, alpha_dropout, one_cycle" in str(answer.exception)
    assert not (tmp_path / "x").exists()
