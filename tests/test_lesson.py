"""The setup line, the profile knob, and repeatable numbers in fresh processes."""

import os
import subprocess
import sys

import pytest

from coursekit.errors import ArgumentError
from coursekit.lesson import Lab, setup


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
model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(32, activation="relu"),
                          keras.layers.Dropout(0.5), keras.layers.Dense(3, activation="softmax")])
model.compile("nadam", loss="sparse_categorical_crossentropy")
history = model.fit(x, (x[:, 0] > 0).astype(int), epochs=2, verbose=0)
print(repr(history.history["loss"]), np.random.rand())
"""


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
    assert len(lines) == 2
    assert "profile quick · seed 7" in lines[0]
