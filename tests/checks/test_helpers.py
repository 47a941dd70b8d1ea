"""Stubs are recognised, calls are safe, results are read with care, mistakes are named."""

from __future__ import annotations

import functools
import gc
import re
import weakref

import numpy as np
import pytest

from coursekit.base.environment import ROOT
from coursekit.base.keras import keras
from coursekit.checks import Wrong
from coursekit.checks._ex04_block import block, look_at_block
from coursekit.checks.engine.stubs import is_untouched
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import agree, close_each, rng
from coursekit.checks.kit.models import AsFound
from coursekit.checks.kit.values import array, describe, number

# Stubs


def doc_only(x):
    """Say what to do."""


def doc_and_dots(x, y=2):
    """Say what to do."""
    ...  # your code here


def passing(x):
    pass


def returning_none(x):
    return None


def not_implemented(x):
    raise NotImplementedError


def not_implemented_with_text(x):
    raise NotImplementedError("your turn")


def closure(value):
    def inner(x): ...  # your code here

    return inner


class Empty:
    """Say what to do."""

    ...  # your code here


class Methods:
    def __init__(self, x):
        self.x = x

    def __call__(self): ...  # your code here

    @property
    def size(self): ...  # your code here

    @staticmethod
    def make(): ...  # your code here


class OnlyInit:
    def __init__(self, x):
        self.x = x


class OneDone(Methods):
    def __call__(self):
        return self.x

    def other(self): ...


class Settings:
    size = 3


STUBS = [
    ..., doc_only, doc_and_dots, passing, returning_none, not_implemented,
    not_implemented_with_text, closure(1), lambda x: ..., Empty, Methods, Methods(1), (..., ...),
    [doc_only, ...], {"a": ..., "b": passing}, functools.partial(doc_and_dots, 1),
    functools.lru_cache(passing), Methods(1).__call__,
]  # fmt: skip


@pytest.mark.parametrize("answer", STUBS, ids=lambda a: describe(a))
def test_stub_is_untouched(answer):
    assert is_untouched(answer)


def yields(x):
    yield


ATTEMPTED = [
    None, 0, "", [], {}, (), (1, ...), np.zeros(2), abs, len, int, dict, lambda x: x, lambda x: 0,
    yields, OneDone, OneDone(1), OnlyInit, OnlyInit(1), Settings, Settings(), ValueError("x"),
    functools.partial(pow, 2), lambda x: print(x), np.vectorize(lambda x: x), object(),
]  # fmt: skip


@pytest.mark.parametrize("answer", ATTEMPTED, ids=lambda a: describe(a))
def test_attempt_is_not_a_stub(answer):
    assert not is_untouched(answer)


def test_methods_given_by_the_notebook_do_not_count():
    class HalfGiven(Methods):
        def __init__(self, x):
            self.x = x

        def given(self):
            return self.x

        def todo(self): ...  # your code here

    assert not is_untouched(HalfGiven)
    assert is_untouched(HalfGiven, given=("given",))
    assert is_untouched(OnlyInit, given=("__init__",))


def test_empty_sequential_model_is_untouched():
    from coursekit.base.keras import keras, tf

    assert is_untouched(keras.Sequential())
    assert not is_untouched(keras.Sequential([keras.layers.Dense(1)]))
    assert is_untouched(tf.function(doc_and_dots))
    assert not is_untouched(tf.function(lambda x: x + 1))
    assert not is_untouched(keras.layers.Dense(1))
    assert not is_untouched(keras.layers.Dense)
    assert not is_untouched(keras.optimizers.SGD(0.1))


# Calls


def doubles_in_place(x):
    x *= 2
    return x


def test_changed_argument_is_named_and_the_checks_own_data_are_safe():
    data = np.array([1.0, np.nan])
    with pytest.raises(Wrong, match="`doubles_in_place` changes its argument `x` in place"):
        call(doubles_in_place, data)
    assert data[0] == 1.0


@pytest.mark.parametrize(
    "argument",
    [[1, 2], {"a": np.zeros(2)}, (np.zeros(2), [3]), np.array([1, np.nan]), [np.array(["a"])]],
)
def test_unchanged_arguments_are_no_mistake(argument):
    assert call(lambda x: 1, argument) == 1


def test_nested_change_is_found():
    def deep(x):
        x["a"][0][1] = 5
        return 1

    with pytest.raises(Wrong, match="in place"):
        call(deep, {"a": [np.zeros(2)]})


def test_update_in_place_can_be_asked_for():
    params = {"w": np.ones(2)}
    assert call(lambda p: p["w"].fill(0), params, may_change=True, may_return_none=True) is None
    assert params["w"].sum() == 0


def test_forgotten_return_is_named():
    with pytest.raises(Wrong, match="Did you forget `return`"):
        call(lambda x: None, 1)


def test_result_in_place_of_the_function_is_named():
    with pytest.raises(Wrong, match=r"got the number 0\.5.*without parentheses"):
        call(0.5, 1)


def test_signature_that_does_not_fit_is_named_but_inner_type_errors_pass():
    with pytest.raises(Wrong, match="cannot be called with 2 arguments"):
        call(lambda x: x, 1, 2)
    with pytest.raises(TypeError, match="NoneType"):
        call(lambda x: x + None, 1)
    assert call(max, 1, 2) == 2


def test_class_is_required():
    require_subclass(bool, int, "int")
    with pytest.raises(Wrong, match="without parentheses"):
        require_subclass(3, int, "int")
    with pytest.raises(Wrong, match="`str` is not a subclass of `int`"):
        require_subclass(str, int, "int")


# Values


class Symbolic:
    def __array__(self, *args, **kwargs):
        raise NotImplementedError


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), np.array([[0.5]])])
def test_every_kind_of_one_number_is_read(value):
    assert number(value) == 0.5


def test_tensors_and_variables_are_read():
    from coursekit.base.keras import keras, tf

    assert number(tf.constant(0.5)) == 0.5
    assert number(keras.Variable(0.5)) == 0.5
    assert array(tf.zeros((2, 3)), shape=(2, 3)).shape == (2, 3)
    reasons = []

    @tf.function
    def symbolic(x):
        try:
            number(x)
        except Wrong as wrong:
            reasons.append(str(wrong))
        return x

    symbolic(tf.constant(1.0))
    assert "expected numbers" in reasons[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is None"),
        (..., "`...`"),
        (True, "is True"),
        ("0.5", "a string"),
        ((0.5,), "stray comma"),
        ([0.5], "a list of 1"),
        (np.zeros(3), r"shape \(3,\); expected one number"),
        (np.array([], float), "expected one number"),
        (float("nan"), "NaN"),
        (np.inf, "infinity"),
        (1j, "complex"),
        (np.array([True]), "True and False"),
        (object(), "expected numbers"),
        (Symbolic(), "expected numbers"),
        (abs, "a function"),
        (int, "the class int"),
    ],
)
def test_what_is_no_number_is_described(value, reason):
    with pytest.raises(Wrong, match=reason):
        number(value)


@pytest.mark.parametrize(
    ("value", "settings", "reason"),
    [
        (np.zeros((3, 2)), {"shape": (2, 3)}, r"shape \(3, 2\); expected \(2, 3\)\. It is trans"),
        (np.zeros(3), {"shape": (2, 3)}, r"expected \(2, 3\)\.$"),
        (np.zeros(3), {"shape": (4,)}, r"expected \(4,\)\."),
        (np.zeros((2, 4)), {"shape": (None, 3)}, r"expected \(any, 3\)"),
        ([1, 2], {"dtype": "float"}, "dtype int64; expected float"),
        ([1.5], {"dtype": "int"}, "dtype float64; expected int"),
        (np.zeros(2), {"dtype": "float32"}, "dtype float64; expected float32"),
        ([[1], [1, 2]], {}, "expected numbers in one shape"),
        (["a"], {}, "expected numbers"),
        ([1, None], {}, "expected numbers"),
        ([1, ...], {}, "still holds a"),
        ([1.0, np.nan], {}, "NaN"),
        ([1.0, np.inf], {}, "infinity"),
        (None, {}, "is None"),
    ],
)
def test_what_is_no_such_array_is_described(value, settings, reason):
    with pytest.raises(Wrong, match=reason):
        array(value, **settings)


def test_arrays_that_fit_are_read():
    assert array([[1, 2]], shape=(None, 2), dtype="int").tolist() == [[1, 2]]
    assert array(np.float32([1]), dtype="float").dtype == np.float32


# Comparison


def square(x):
    return x * x


CASES = [(1.0,), (3.0,), (4.0,)]


def test_right_function_agrees_within_float32():
    agree(lambda x: np.float32(x) ** 2, square, CASES)


def test_known_mistake_is_named_and_others_quote_the_call_only():
    mistakes = {"doubled": lambda x: 2 * x, "cubed": lambda x: x**3}
    with pytest.raises(Wrong, match=r"^cubed$"):
        agree(lambda x: x * x * x, square, CASES, mistakes=mistakes)
    with pytest.raises(Wrong) as caught:
        agree(lambda x: x * x + (x > 2) / 4, square, CASES, mistakes=mistakes)
    assert str(caught.value) == "For `<lambda>(x=3)`: you give 9.25."
    assert "16" not in str(caught.value)
    with pytest.raises(Wrong, match=r"^squares only For .* you give 0\.$"):
        agree(lambda x: 0, square, CASES, mistakes=mistakes, otherwise="squares only")


def test_wrong_formula_that_fails_on_a_case_is_no_match():
    mistakes = {"divided": lambda x: 1 / (x - 1), "indexed": lambda x: [][0], "zero": lambda x: 0}
    with pytest.raises(Wrong, match=r"^zero$"):
        agree(lambda x: 0, square, CASES, mistakes=mistakes)


def test_pairs_and_arrays_are_compared_part_by_part():
    def both(x):
        return (x, np.array([x, 2 * x]))

    def read(value):
        return value

    agree(both, both, CASES, read=read)
    with pytest.raises(Wrong, match=r"place 1: at index 1 you give 1 \(wrong in 1 of 2 places\)"):
        agree(lambda x: (x, np.array([x, x])), both, CASES, read=read)
    with pytest.raises(Wrong, match="`twice`: at index 1"):
        agree(lambda x: (x, np.array([x, x])), both, CASES, read=read, names=("x", "twice"))
    with pytest.raises(Wrong, match="the number 1; expected 2 parts"):
        agree(lambda x: x, both, CASES, read=read)
    with pytest.raises(Wrong, match=r"shape \(3,\); expected \(2,\)"):
        agree(lambda x: (x, np.zeros(3)), both, CASES, read=read)


def test_rounding_near_zero_is_no_mistake_but_a_small_value_is():
    assert close_each([1.0, 1e-7], [1.0, 0.0]) == [True, True]
    assert close_each([1.0, 1e-3], [1.0, 0.0]) == [True, False]
    assert close_each([np.nan], [1.0]) == [False]
    assert close_each([], []) == []


def test_one_process_judges_fairly_with_one_seed_word_after_another(monkeypatch):
    tasks = TaskList(99, "Seeds")

    @behaviour(
        tasks, title="Double", right=lambda x: 2 * x, hints=("Add.",),
        mistakes={"You square it.": lambda x: x * x},
    )  # fmt: skip
    def double(answer):
        """Drawn inputs, as most checks have."""
        return {"of three numbers": answer(rng("double").normal(size=3))}

    for word in ("tulip", "rose", ""):
        monkeypatch.setenv("COURSEKIT_CHECK_SEED", word)
        double(lambda x: x + x)
        with pytest.raises(Wrong, match="You square it"):
            double(lambda x: x**2)


# Objects told apart by their ids, which are unique among the living only


def test_layers_of_earlier_calls_are_held_while_the_check_looks_for_them():
    made = []

    def hidden_block(units):
        gc.collect()
        assert [ref for ref in made if ref() is None] == []
        layers = block()(units)
        made.extend(map(weakref.ref, layers))
        return layers

    look_at_block(hidden_block)
    assert len(made) == 9


def test_variables_of_an_optimizer_that_was_replaced_are_held():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    found, rate = AsFound(model), weakref.ref(model.optimizer.learning_rate)
    model.compile("adam", "mse")
    gc.collect()
    assert rate() is not None
    with pytest.raises(Wrong, match="leaves the optimizer changed"):
        found.require_same()


def test_ids_are_compared_in_one_place():
    modules = (ROOT / "coursekit" / "checks").rglob("*.py")
    assert [m.name for m in modules if re.search(r"\bid\(", m.read_text())] == ["models.py"]
