"""Two processes that call each other's functions, with plain data in between."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.course.classroom.grading.wire import (
    Channel,
    Functions,
    LateError,
    LostError,
    NotPlainError,
    error_from,
    pack,
    set_state,
    signature_from,
    told_error,
    unpack,
)  # fmt: skip

Handler = Callable[[dict[str, Any], list[bytes]], tuple[dict[str, Any], list[bytes]]]


class Peer:
    """One end: asks the other side, and serves what it calls meanwhile.

    Attributes:
        failure: what the last call of a function of the other side raised there, as it was told;
            None when it returned.
        deadline: until when, by `time.monotonic`, functions of the other side may take.
        lost: why the other side can no longer be called; a check may take it for an answer's error.
    """

    def __init__(self, channel: Channel, where: Callable[[BaseException], str] = lambda error: ""):
        self._channel, self._where = channel, where
        self._raised: list[BaseException] = []
        self.functions = Functions()
        self.failure: dict[str, Any] | None = None
        self.deadline: float | None = None
        self.lost: LateError | LostError | None = None

    def ask(self, header: dict[str, Any], *, until: float | None = None, values: Any = ()) -> Any:
        """Send a request and return the answer's header and value; serve calls until it comes.

        Raises LateError and LostError.
        """
        told, blobs = pack(values, self.functions)
        self._channel.send(header | {"values": told}, blobs, until)
        while True:
            answer, blobs = self._channel.receive(until)
            if not isinstance(answer, dict):
                raise LostError("no message of ours")
            if answer.get("op") != "call":
                return answer, self.unpack(answer.get("value"), blobs)
            self.send(*self.called(answer, blobs), until=until)

    def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        """Wait for the next request."""
        return self._channel.receive()

    def send(self, header: Any, blobs: list[bytes], until: float | None = None) -> None:
        """Answer a request."""
        self._channel.send(header, blobs, until)

    def unpack(self, told: Any, blobs: list[bytes]) -> Any:
        """Return a value that came; a function of the other side becomes a `Remote`."""
        return unpack(told, blobs, lambda function: Remote(self, function))

    def called(
        self, call: dict[str, Any], blobs: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Call a function of this side as the other asks; return the answer to be sent.

        It holds the result and every argument that was changed in place, or the error.
        """
        try:
            function = self.functions[int(call["function"])]
            args = self.unpack(call["values"], blobs)
            before = [_picture(arg) for arg in args]
            result = (
                _in_graph(function, args, call["graph"]) if call.get("graph") else function(*args)
            )
            changed = {
                i: arg for i, arg in enumerate(args) if before[i] and _picture(arg) != before[i]
            }
            told, blobs = pack((result, changed), self.functions)
            return {"op": "result", "value": told}, blobs
        except (KeyboardInterrupt, LostError):
            raise
        except NotPlainError as error:
            return {"op": "result", "not_plain": str(error)}, []
        except BaseException as error:  # SystemExit too: it is the answer's, not ours
            self._raised.append(error)
            told = told_error(error) | {"raised": len(self._raised) - 1}
            return {"op": "result", **told, "where": self._where(error)}, []

    def original(self, told: dict[str, Any]) -> BaseException | None:
        """Return the error that a function of this side raised, where it comes back as it was."""
        origin = told.get("origin")
        if isinstance(origin, int) and 0 <= origin < len(self._raised):
            return self._raised[origin]
        return None


class Remote:
    """A function that lives in the other process: called here, it runs there.

    Raises what it raises there, LateError after its peer's deadline, LostError with the process.
    """

    def __init__(self, peer: Peer, told: dict[str, Any]):
        self._peer, self._number = peer, int(told["function"])
        self.__name__ = self.__qualname__ = str(told.get("name", ""))[:80]
        signature = signature_from(told.get("takes"))
        if signature is not None:
            self.__signature__ = signature

    def __call__(self, *args: Any, **named: Any) -> Any:
        if named:
            bound = inspect.signature(self).bind(*args, **named)
            args = bound.args
        return self._call(args, None)

    def call_in_graph(self, *args: Any, autograph: bool = False) -> Any:
        """Call it on tensors within `tf.function`."""
        return self._call(args, "autograph" if autograph else "plain")

    def _call(self, args: tuple[Any, ...], graph: str | None) -> Any:
        peer = self._peer
        peer.failure = None
        request = {"op": "call", "function": self._number, "graph": graph}
        if peer.lost:
            raise peer.lost
        try:
            answer, value = peer.ask(request, until=peer.deadline, values=args)
        except (LateError, LostError) as error:
            peer.lost = error
            raise
        if "not_plain" in answer:
            raise NotPlainError(f"It returns {answer['not_plain']}; expected numbers or arrays.")
        if "error" in answer:
            peer.failure = answer
            raise peer.original(answer) or error_from(answer)
        if not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[1], dict):
            raise LostError("no message of ours")
        result, changed = value
        for i, new in changed.items():
            _put_back(args[i], new)
        return result


def _in_graph(function: Callable[..., Any], args: Any, graph: str) -> Any:
    from coursekit.base.keras import tf

    return tf.function(function, autograph=graph == "autograph")(*map(tf.constant, args))


def _picture(value: Any) -> Any:
    """Return what tells whether a value was changed in place; None for what cannot be."""
    if isinstance(value, (np.ndarray, list, dict, np.random.Generator)):
        try:
            return pack(value)
        except NotPlainError:
            return None
    return None


def _put_back(old: Any, new: Any) -> None:
    """Change a list, dict or array as the other side changed its copy."""
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and old.shape == new.shape:
        old[...] = new
    elif isinstance(old, np.random.Generator) and isinstance(new, np.random.Generator):
        set_state(old, new.bit_generator.state["state"])
    elif isinstance(old, list) and isinstance(new, list):
        old[:] = new
    elif isinstance(old, dict) and isinstance(new, dict):
        old.clear()
        old.update(new)
