"""The setup line, the profile knob, and repeatable numbers in fresh processes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from coursekit.errors import ArgumentError
from coursekit.lesson import Lab, prove, setup


@pytest.mark.parametrize(("profile", "value"), [("quick", 1), ("standard", 2), ("full", 3)])
def test_pick_returns_the_value_of_the_profile(profile, value):
    assert Lab(seed=0, profile=profile).pick(quick=1, standard=2, full=3) == value


@pytest.mark.parametrize("seed", ["1", 1.0, True])
def test_a_seed_that_is_not_an_integer_is_a_type_error(seed):
    with pytest.raises(TypeError, match="seed: expected a whole number from 0 up"):
        setup(seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ArgumentError, match="seed: expected a whole number"):
        setup(seed)


PROGRAM = """
import coursekit as ck
lab = ck.setup(seed=7, profile="quick")
import keras, numpy as np
x = np.random.default_rng(0).normal(size=(300, 20)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
layers = keras.layers
model = keras.Sequential([keras.Input((20,)), layers.Dense(50, "relu"), layers.Dropout(0.3),
                          layers.BatchNormalization(), layers.Dense(2, "softmax")])
model.compile("nadam", "sparse_categorical_crossentropy")
history = model.fit(x, y, epochs=2, verbose=0)
print(history.history["loss"], np.random.rand())
history = ck.fit(model, x, y, epochs=60, validation_data=(x, y))
print(history.history["loss"][-3:], [float(abs(w).sum()) for w in model.get_weights()])
"""


@pytest.mark.slow
def test_two_fresh_processes_give_the_same_numbers_one_line_and_no_stderr():
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(i)},
        )
        for i in (1, 2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stderr == runs[1].stderr == ""
    lines = runs[0].stdout.splitlines()
    assert len(lines) == 3
    assert "profile quick · seed 7" in lines[0]


def test_a_claim_that_holds_is_one_line_with_its_numbers(capsys):
    prove("He ends below Xavier", np.float64(0.12) < 0.16, "0.12 < 0.16")
    assert capsys.readouterr().out == "✔ He ends below Xavier: 0.12 < 0.16\n"


def test_a_claim_that_does_not_hold_fails_with_its_numbers(capsys):
    with pytest.raises(AssertionError, match=r"^He ends below Xavier: not so, 0.2 < 0.16$"):
        prove("He ends below Xavier", 0.2 < 0.16, "0.2 < 0.16")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "holds", [np.array([True, False]), np.array([True]), np.array(True), 1, "yes", None, [True]]
)
def test_what_is_no_truth_value_proves_nothing(holds):
    with pytest.raises(TypeError, match="expected one truth value"):
        prove("This holds", holds, "1 < 2")


@pytest.mark.parametrize("arguments", [("", True, "1 < 2"), ("This holds", True, " ")])
def test_a_claim_needs_a_sentence_and_numbers(arguments):
    with pytest.raises(ArgumentError, match="expected a text"):
        prove(*arguments)
