"""The four outcomes, what reaches the learner's notebook, and what must never reach it."""

from __future__ import annotations

import contextlib
import linecache
import logging
import random
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import coursekit as ck
from coursekit.checks import Wrong, passed
from coursekit.checks.engine.progress import ProgressStore, progress_folder
from coursekit.checks.engine.runner import run
from coursekit.checks.engine.session import Exercise, exercise
from coursekit.checks.engine.side_effects import TimeUp, time_limit
from coursekit.checks.engine.tasks import Task, TaskList
from coursekit.errors import ArgumentError

TASKS = TaskList(99, "Toys")


@TASKS.task("Twice a number", hints=("Add it.", "To itself."))
def double(answer):
    if answer(3) != 6:
        raise Wrong("Three must give `six`.")


@TASKS.task("Two functions", hints=("One.", "Two."))
def both(first, second):
    if first(1) != second(1):
        raise Wrong("They differ.")


@pytest.fixture
def ex():
    return Exercise(TASKS, ProgressStore(99, progress_folder()))


def endless(x):
    while True:
        x += 1


# Outcomes


def test_correct(ex):
    verdict = ex.double(lambda x: 2 * x)
    assert verdict.outcome == "correct"
    assert verdict
    assert repr(verdict) == "✔ correct · double: Twice a number"


def test_wrong_gives_the_reason_and_offers_a_hint(ex):
    verdict = ex.double(lambda x: x)
    assert verdict.outcome == "wrong"
    assert not verdict
    assert "Three must give six." in repr(verdict)
    assert 'ex.hint("double")' in repr(verdict)


def test_crashed_names_exception_and_the_learners_own_line(ex):
    def halve(x):
        return np.linalg.inv(np.zeros((x, x)))

    verdict = ex.double(halve)
    assert verdict.outcome == "crashed"
    assert verdict.reason == "LinAlgError: Singular matrix"
    assert "`halve`" in verdict.where
    assert "return np.linalg.inv" in verdict.where
    assert __file__ not in repr(verdict)


def test_crash_inside_compiled_code_is_placed_in_the_learners_line(ex):
    def shuffled(x):
        return np.random.default_rng(0).choice(x, size=3, p=[2.0, 1.0])

    verdict = ex.double(shuffled)
    assert verdict.outcome == "crashed"
    assert verdict.where.startswith("`shuffled`, line ")


def test_crash_in_a_notebook_cell_is_found_by_its_source(ex):
    source = "def answer(x):\n    y = x\n    return y / 0\n"
    name = "/somewhere/ipykernel_7/123.py"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space = {}
    exec(compile(source, name, "exec"), space)
    verdict = ex.double(space["answer"])
    assert verdict.where == "`answer`, line 3: `return y / 0`"
    assert "somewhere" not in repr(verdict)


def test_crash_outside_of_the_learners_code_says_so(ex):
    verdict = ex.double(np.linalg.inv)
    assert verdict.outcome == "crashed"
    assert verdict.where == ""
    assert "not in a line of your own code" in verdict.reason


class BrokenError(Exception):
    def __str__(self):
        raise RuntimeError("broken too")


def raising(error):
    def answer(x):
        raise error

    return answer


def recursing(x):
    return recursing(x)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (raising(SystemExit(1)), "SystemExit"),
        (raising(BrokenError()), "BrokenError"),
        (raising(GeneratorExit()), "GeneratorExit"),
        (raising(ValueError("x" * 5000)), "ValueError"),
        (recursing, "RecursionError"),
    ],
)
def test_no_exception_of_an_answer_reaches_the_notebook(ex, answer, name):
    verdict = ex.double(answer)
    assert verdict.outcome == "crashed"
    assert verdict.reason.startswith(name)
    assert len(verdict.reason) < 400


def test_interrupt_passes_through_and_leaves_the_streams_alone(ex):
    stdout, level = sys.stdout, logging.root.manager.disable
    with pytest.raises(KeyboardInterrupt):
        ex.double(raising(KeyboardInterrupt()))
    assert sys.stdout is stdout
    assert logging.root.manager.disable == level
    assert "99.double" not in passed()


@pytest.fixture(scope="module")
def failing_layer():
    import keras

    class Failing(keras.layers.Layer):
        def call(self, inputs):
            return inputs * self.alhpa

    return Failing


def in_keras(layer):
    return layer(np.ones((2, 3), "float32"))


def in_a_graph(layer):
    import tensorflow as tf

    return tf.function(lambda x: layer(x))(tf.ones((2, 3)))


def in_a_model(layer):
    import keras

    return keras.Sequential([keras.Input((3,)), layer])


def in_training(layer):
    import keras

    model = keras.Sequential([layer])
    model.compile(loss="mse")
    return model.fit(np.ones((2, 3)), np.ones((2, 3)), verbose=0)


@pytest.mark.parametrize("use", [in_keras, in_a_graph, in_a_model, in_training])
def test_error_inside_a_layer_keeps_its_message_and_its_line(ex, failing_layer, use):
    verdict = ex.double(lambda x: use(failing_layer()))
    assert verdict.reason == "AttributeError: 'Failing' object has no attribute 'alhpa'"
    assert verdict.where.startswith("`call`, line ")
    assert verdict.where.endswith(": `return inputs * self.alhpa`")


def test_error_inside_a_function_of_tensorflow_keeps_its_message_and_its_line(ex):
    import tensorflow as tf

    def helper(x):
        raise ValueError("too small")

    @tf.function
    def small(x):
        return helper(2 * x)

    verdict = ex.double(small)
    assert verdict.reason == "ValueError: too small"
    assert verdict.where.startswith("`helper`, line ")
    assert verdict.where.endswith(': `raise ValueError("too small")`')


def test_colours_of_a_terminal_are_left_out_of_a_message(ex):
    assert (
        ex.double(raising(ValueError("\x1b[1mtoo small\x1b[0m"))).reason == "ValueError: too small"
    )


@pytest.mark.parametrize("answers", [(), (abs,), (abs, abs, abs)])
def test_wrong_number_of_answers_is_an_argument_error(ex, answers):
    with pytest.raises(ArgumentError, match=r"expected 2 arguments, both\(first, second\)"):
        ex.both(*answers)


def test_one_untouched_answer_of_two_is_not_attempted(ex):
    assert ex.both(abs, ...).outcome == "not attempted"


# Names


def test_unknown_exercise_lists_those_that_exist():
    with pytest.raises(ArgumentError, match=r"no exercise 77; there are .*9 \(Learning-rate sch"):
        ck.exercise(77)


@pytest.mark.parametrize("number", ["9", 9.5, None, True])
def test_exercise_wants_a_whole_number(number):
    with pytest.raises(TypeError, match="exercise: expected a whole number from 0 up"):
        exercise(number)


def test_unknown_task_lists_the_tasks(ex):
    with pytest.raises(ArgumentError, match="no task 'dbl'; its tasks are double, both"):
        ex.dbl(3)
    with pytest.raises(ArgumentError, match="double, both"):
        ex.hint("dbl")
    with pytest.raises(ArgumentError, match="double, both"):
        ex.is_correct("dbl")
    with pytest.raises(TypeError, match="in quotes"):
        ex.hint(double)
    assert not hasattr(ex, "dbl")
    assert not hasattr(ex, "_repr_png_")


def test_completion_lists_tasks(ex):
    assert {"double", "both", "hint", "progress"} <= set(dir(ex))
    assert "Twice a number" in repr(ex.double)


def test_task_names_are_unique_and_do_not_hide_methods():
    tasks = TaskList(98, "Clashes")

    def hint(answer):
        pass

    with pytest.raises(ArgumentError, match="taken"):
        tasks.task("A hint", hints=("a",))(hint)
    tasks.task("Twice", hints=("a",))(double)
    with pytest.raises(ArgumentError, match="taken"):
        tasks.task("Twice", hints=("a",))(double)
    with pytest.raises(ArgumentError, match="tuple of hints"):
        tasks.task("Both", hints="one")(both)


# Hints


def test_hints_come_one_by_one_and_then_all_together(ex):
    assert "Add it." in repr(ex.hint("double"))
    assert "Add it." not in repr(ex.hint("double"))
    everything = repr(ex.hint("double"))
    assert "no more hints" in everything
    assert "1. Add it." in everything
    assert "2. To itself." in everything
    assert "One." in repr(ex.hint("both"))


# What an answer does while it is checked


def test_output_of_an_answer_is_held_back_and_shown_where_it_failed(ex, capfd):
    def noisy(x):
        for i in range(20):
            print("step", i)
        print("error!", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        logging.getLogger("toy").error("logged")
        return x

    verdict = ex.double(noisy)
    assert capfd.readouterr() == ("", "")
    assert verdict.printed.splitlines() == ["step 16", "step 17", "step 18", "step 19", "error!"]
    assert "step 19" in repr(verdict)
    assert "printed" not in repr(ex.double(lambda x: print(x) or 2 * x))


def test_progress_bars_and_colours_are_cleaned_from_what_was_printed(ex):
    def bar(x):
        print("\x1b[1m10%\x1b[0m\r\x1b[1m100%\x1b[0m done")
        return x

    assert ex.double(bar).printed == "100% done"


def test_output_without_end_fills_no_memory():
    def chatty(x):
        for _ in range(1000):
            print("y" * 10_000)
        return x

    verdict = run(TASKS["double"], (chatty,))
    assert len(verdict.printed) < 5_000


def test_every_random_generator_is_put_back(ex):
    from coursekit.base.keras import keras, tf

    def draw():
        return (
            random.random(),
            np.random.rand(),  # noqa: NPY002
            float(keras.random.uniform(())),
            float(tf.random.uniform(())),
        )

    def thief(x):
        draw()
        keras.utils.set_random_seed(999)
        draw()
        return 2 * x

    keras.utils.set_random_seed(5)
    draw()
    undisturbed = [draw(), draw()]
    keras.utils.set_random_seed(5)
    draw()
    first = draw()
    assert ex.double(thief)
    assert [first, draw()] == undisturbed


def test_random_generator_that_keras_has_not_made_yet_is_not_left_behind(ex):
    from coursekit.base.keras import keras

    def thief(x):
        keras.random.uniform(())
        return 2 * x

    keras.utils.set_random_seed(6)
    want = float(keras.random.uniform(()))
    keras.utils.set_random_seed(6)
    assert ex.double(thief)
    assert float(keras.random.uniform(())) == want


# Time


def slow_task(seconds):
    def never(answer):
        answer(1)

    return Task("never", "Never ends", never, ("a", "b"), seconds=seconds)


def test_endless_answer_is_stopped_with_its_line():
    verdict = run(slow_task(1), (endless,))
    assert verdict.outcome == "crashed"
    assert "more than 1 second" in verdict.reason
    assert "`endless`" in verdict.where


def test_endless_answer_is_stopped_in_a_thread_too():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(run(slow_task(0.2), (endless,))))
    thread.start()
    thread.join()
    assert verdicts[0].outcome == "crashed"


def test_no_late_stop_reaches_the_code_after_a_check():
    stray = 0
    for _ in range(300):
        with contextlib.suppress(TimeUp), time_limit(0.0005):
            time.sleep(0.0004)
        try:
            sum(range(200))
            time.sleep(0)
        except TimeUp:
            stray += 1
    assert stray == 0
