"""Plain data between two processes: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
import time

import numpy as np
import pytest

from coursekit.checks.engine.verdict import Wrong
from coursekit.course.classroom.grading.peer import Peer
from coursekit.course.classroom.grading.wire import (
    ArrayLike,
    Channel,
    Functions,
    LateError,
    LostError,
    NotPlainError,
    error_from,
    pack,
    unpack,
)  # fmt: skip

VALUES = [
    None, True, 3, 2**80, -0.0, math.inf, 2 + 3j, "ἀ 학습", ..., [], (), {}, {1: "a", "b": [2]},
    (1, [2.0, ("x", None)]), {"a", "b"},
]  # fmt: skip
ARRAYS = [
    np.zeros((0, 3)), np.arange(6, dtype=">i2").reshape(2, 3), np.float32(0.1), np.array(5),
    np.array([True, False]), np.ones((2, 2), complex), np.asfortranarray(np.eye(3)[:, :2]),
]  # fmt: skip


def there_and_back(value):
    told, blobs = pack(value)
    return unpack(json.loads(json.dumps(told)), blobs)


def _numbered(values):
    return [f"{i} {type(value).__name__}" for i, value in enumerate(values)]


@pytest.mark.parametrize("value", VALUES, ids=_numbered(VALUES))
def test_values_come_back_with_their_types(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", ARRAYS, ids=_numbered(ARRAYS))
def test_arrays_come_back_bit_by_bit(value):
    back = there_and_back(value)
    assert (type(back), back.dtype, back.shape) == (type(value), value.dtype, value.shape)
    assert back.tobytes() == value.tobytes()


def test_nan_stays_nan_and_generators_go_on_where_they_stood():
    assert math.isnan(there_and_back(math.nan))
    generator = np.random.default_rng(7)
    generator.normal(size=3)
    assert there_and_back(generator).normal() == generator.normal()


class EqualToAll(np.ndarray):
    def __eq__(self, other):
        return True


class Tensor:
    shape, dtype = (2,), "float32"

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0], "float32")


def test_no_class_of_a_learner_crosses():
    back = there_and_back(np.zeros(2).view(EqualToAll))
    assert type(back) is np.ndarray
    assert not (back == 1).any()
    tensor = there_and_back(Tensor())
    assert isinstance(tensor, ArrayLike)
    assert not isinstance(tensor, np.ndarray)
    np.testing.assert_array_equal(np.asarray(tensor), [1, 2])


class Text(str):
    __slots__ = ()


NOT_PLAIN = {
    "an object": object(),
    "an array of objects": np.array([object()]),
    "an array of texts": np.array(["a"]),
    "bytes": b"bytes",
    "a text's subclass": Text("a"),
    "a function": print,
    "a class": type,
}


@pytest.mark.parametrize("value", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(NotPlainError):
        pack(value)


def test_a_list_that_holds_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(NotPlainError, match="nested"):
        pack(loop)


@pytest.mark.parametrize("told", [
    {"array": 0, "dtype": "O", "shape": [1]}, {"array": 0, "dtype": "<f8", "shape": [9]},
    {"array": 5, "dtype": "<f8", "shape": []}, {"array": 0, "dtype": "<f8", "shape": [-1, "a"]},
    {"dict": [1]}, {"dict": [[], 1]}, {"set": [[]]}, {"unknown": 1}, {"function": 0},
    {"complex": ["a"]}, {"generator": {}}, {"scalar": 3},
], ids=str)  # fmt: skip
def test_forged_values_are_refused(told):
    with pytest.raises(LostError):
        unpack(told, [b"12345678"])


def test_errors_keep_name_and_text():
    assert isinstance(
        error_from({"error": "ZeroDivisionError", "message": "by 0"}), ZeroDivisionError
    )
    own = error_from({"error": "MyError", "message": "mine"})
    assert (type(own).__name__, str(own)) == ("MyError", "mine")
    for name in ("SystemExit", "KeyboardInterrupt", "UnicodeDecodeError", "not a name", ""):
        assert isinstance(error_from({"error": name, "message": "x"}), Exception)


@pytest.fixture
def pair():
    """Two peers; the second serves calls of its functions in a thread."""
    mine, theirs = socket.socketpair()
    near, far = (Peer(Channel(s.fileno(), s.fileno())) for s in (mine, theirs))

    def serve():
        while True:
            try:
                request, blobs = far.receive()
                if request["op"] == "call":
                    far.send(*far.called(request, blobs))
                else:
                    far.send({"op": "result", "value": pack(FUNCTIONS, far.functions)[0]}, [])
            except LostError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    _, remote = near.ask({"op": "functions"}, until=time.monotonic() + 60)
    near.deadline = time.monotonic() + 60
    yield dict(zip(NAMES, remote, strict=True)), near
    mine.shutdown(socket.SHUT_RDWR)
    thread.join()
    mine.close()
    theirs.close()


def double(x, factor=2.0, *, unused=None):
    return factor * x


def sorts(values, x):
    values.sort()
    x[0] = 9


def fails(x):
    raise KeyError("no " + str(x))


def adder(n):
    return lambda x: x + n


def apply(function, x):
    return function(x) + 1


def exits():
    raise SystemExit(0)


FUNCTIONS = [double, sorts, fails, adder, apply, exits]
NAMES = [f.__name__ for f in FUNCTIONS]


def test_functions_run_on_the_other_side(pair):
    far, _ = pair
    assert far["double"](3) == 6
    np.testing.assert_array_equal(far["double"](np.ones(2), factor=5), [5, 5])
    assert far["double"].__name__ == "double"
    with pytest.raises(TypeError):
        far["double"](1, 2, 3, nonsense=4)


def test_changes_in_place_are_seen(pair):
    far, _ = pair
    values, x = [3, 1, 2], np.zeros(2)
    far["sorts"](values, x)
    assert values == [1, 2, 3]
    np.testing.assert_array_equal(x, [9, 0])


def test_functions_cross_both_ways(pair):
    far, _ = pair
    assert far["adder"](5)(2) == 7
    assert far["apply"](lambda x: 10 * x, 4) == 41


def test_errors_and_exits_come_back_as_errors(pair):
    far, near = pair
    with pytest.raises(KeyError, match="no 7"):
        far["fails"](7)
    assert near.failure["error"] == "KeyError"
    with pytest.raises(Exception, match=r"^0$") as caught:
        far["exits"]()
    assert type(caught.value).__name__ == "SystemExit"


@pytest.fixture
def raw():
    mine, theirs = socket.socketpair()
    yield Channel(mine.fileno(), mine.fileno()), theirs
    mine.close()
    theirs.close()


def test_silence_is_late_and_an_end_is_lost(raw):
    channel, other = raw
    with pytest.raises(LateError):
        channel.receive(time.monotonic() + 0.01)
    other.close()
    with pytest.raises(LostError):
        channel.receive(time.monotonic() + 60)


def test_nobody_who_reads_makes_a_large_message_late(raw):
    channel, _ = raw
    with pytest.raises(LateError):
        channel.send({}, [b"0" * 10**7], time.monotonic() + 0.05)


@pytest.mark.parametrize("forged", [
    b"correct\n" * 4, struct.pack("!QQ", 2**60, 0), struct.pack("!QQ", 4, 0) + b"nope",
    struct.pack("!QQ", 9, 0) + b'[{}, [5]]', struct.pack("!QQ", 2, 0) + b"{}",
    struct.pack("!QQ", 200_000, 0) + b"[" * 200_000,
], ids=["text", "huge", "no JSON", "lengths", "no pair", "deep"])  # fmt: skip
def test_what_is_no_message_is_lost(raw, forged):
    channel, other = raw
    sender = threading.Thread(target=lambda: os.write(other.fileno(), forged))
    sender.start()
    with pytest.raises(LostError):
        channel.receive(time.monotonic() + 60)
    other.close()
    sender.join()


def test_functions_are_kept_by_number():
    functions = Functions()
    told, _ = pack([len, len], functions)
    assert [functions[each["function"]] for each in told] == [len, len]


def test_an_error_that_was_only_passed_on_comes_back_as_it_was(pair):
    far, _ = pair
    ours = Wrong("too large")

    def refuse(x):
        raise ours

    with pytest.raises(Wrong) as caught:
        far["apply"](refuse, 4)
    assert caught.value is ours
