"""The chapter's guidelines as a function: facts about a task in, a compiled net and reasons out.

The two configurations are those of A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras,
and TensorFlow*, 3rd edition, 2022, chapter 11, "Summary and Practical Guidelines", changed where
the course's experiments (lesson 13, the CIFAR-10 study) decide otherwise: batch normalisation in
shallow nets too; early stopping and patience that fits the run. Weight decay, which the table has
where it is needed, is left to the caller; nothing here compares it.
Where a number is left open ("deep", "few images"), the constants below give it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coursekit.base.keras import keras
from coursekit.base.numbers import number, whole_number
from coursekit.base.table import Table
from coursekit.errors import ArgumentError
from coursekit.nets.builders import mlp
from coursekit.nets.cloning import twin
from coursekit.training.one_cycle import OneCycle

__all__ = ["DEEP", "FEW_IMAGES", "Choice", "Recommendation", "recommend"]

DEEP = 6  # from so many hidden layers on, a net counts as deep
FEW_IMAGES = 5_000  # with fewer training images, overfitting is to be expected
_NEEDS = ("latency", "sparse", "uncertainty")
_RATE, _SELU_RATE = 0.01, 0.003  # a net without batch normalisation endures less
_L1, _DROPOUT, _ALPHA_DROPOUT = 3e-4, 0.2, 0.1
_TOP = 5  # highest rate of a 1cycle, as a multiple of a good constant one
_PATIENCE = 5  # at most so many epochs without progress until the rate is halved


class Choice(NamedTuple):
    """One line of a recommendation: what is chosen, the choice, and why."""

    what: str
    choice: str
    why: str


@dataclass(frozen=True)
class Recommendation:
    """A compiled net with the way to train it, and the reasons for both.

    Attributes:
        model: built and compiled; inputs must be standardised.
        choices: a table of `Choice` rows; prints as aligned columns.
        schedule: "1cycle" or "performance".
        learning_rate: a good constant rate; 1cycle climbs to five times as much.
        afterwards: what to do once the net is trained, in words; may be empty.
    """

    model: keras.Sequential
    choices: Table
    schedule: str
    learning_rate: float
    afterwards: tuple[str, ...]

    def callbacks(self, epochs: int) -> list[keras.callbacks.Callback]:
        """Return new callbacks for one training of so many epochs.

        "performance" needs validation data: it halves the rate after an eighth of the epochs, at
        most 5, without a lower loss, and stops after twice as many without a higher accuracy. (A
        patience longer than the run would be a constant rate, and stopping by the loss costs
        accuracy.)
        """
        epochs = whole_number("epochs", epochs, least=1)
        if self.schedule == "1cycle":
            return [OneCycle(_TOP * self.learning_rate)]
        patience = min(_PATIENCE, max(1, round(epochs / 8)))
        return [
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=patience),
            keras.callbacks.EarlyStopping(
                "val_accuracy", patience=2 * patience, mode="max", restore_best_weights=True
            ),
        ]

    def __repr__(self) -> str:
        steps = [f"{i}. {step}" for i, step in enumerate(self.afterwards, start=1)]
        return "\n".join([repr(self.choices), *(["after training:", *steps] if steps else [])])


@dataclass(frozen=True)
class _Task:
    """What is known about the task, once the arguments are checked."""

    input_shape: Sequence[int]
    n_classes: int
    n_train: int | None
    hidden: int | None
    units: int
    self_normalizing: bool
    needs: frozenset[str]

    @property
    def few(self) -> bool:
        return self.n_train is not None and self.n_train < FEW_IMAGES

    @property
    def depth(self) -> int:
        if self.hidden is not None:
            return self.hidden
        return 2 if self.few or "latency" in self.needs else 4

    @property
    def deep(self) -> bool:
        return self.depth >= DEEP


def recommend(
    input_shape: Sequence[int],
    n_classes: int,
    *,
    n_train: int | None = None,
    hidden: int | None = None,
    units: int = 100,
    self_normalizing: bool = False,
    needs: str | Collection[str] = (),
    schedule: str | None = None,
    learning_rate: float | None = None,
) -> Recommendation:
    """Return a compiled dense classifier by one of the two configurations, with the reasons.

    - default: He; batch normalisation, then ReLU where shallow, Swish where deep.
    - self-normalising: LeCun, SELU, no batch normalisation.

    Both: Nesterov; performance scheduling with early stopping, or 1cycle, if you ask for it.

    Args:
        input_shape: shape of one sample, such as (28, 28).
        n_classes: number of classes, at least 2.
        n_train: number of training images, if known.
        hidden: number of hidden layers; by default few: 4, or 2 with few images or for latency.
        units: units of each hidden layer.
        self_normalizing: choose the second configuration.
        needs: any of "latency" (a faster activation, fewer layers where `hidden` is not given),
            "sparse" (ℓ1 on the hidden kernels, except where it would break self-normalisation) and
            "uncertainty" (dropout before the output, alpha dropout where the net normalises itself,
            for `coursekit.mc_predict`); one name or several.
        schedule: "performance" (by default) or "1cycle".
        learning_rate: a good constant rate, best from `coursekit.lr_range_test`; by default 0.01,
            and 0.003 for the self-normalising net.

    Raises:
        ArgumentError: a value out of range, an unknown need or schedule.
        TypeError: a number where none can be read.

    >>> advice = recommend((28, 28), 10, n_train=55_000)
    >>> advice.choices[0]
    Choice(what='depth', choice='4 hidden layers', why='start small; go deeper while it helps')
    >>> advice.model.compiled, advice.schedule
    (True, 'performance')
    >>> recommend((28, 28), 10, hidden=20, self_normalizing=True).learning_rate
    0.003
    """
    n_train, hidden = (
        value if value is None else whole_number(name, value, least=1)
        for name, value in (("n_train", n_train), ("hidden", hidden))
    )
    known = (input_shape, n_classes, n_train, hidden, units)
    task = _Task(*known, bool(self_normalizing), _needs(needs))
    if schedule not in ("1cycle", "performance", None):
        raise ArgumentError(f"schedule must be 1cycle or performance, but is {schedule!r}")
    schedule = schedule or "performance"
    rate = _SELU_RATE if task.self_normalizing else _RATE
    if learning_rate is not None:
        rate = number("learning_rate", learning_rate, 0, ends="()")

    model = _net(task)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    choices = [*_choices_of_net(task), *_choices_of_training(task, rate, schedule)]
    table = Table(Choice(*row) for row in choices)
    return Recommendation(model, table, schedule, rate, _afterwards(task))


def _needs(needs: Any) -> frozenset[str]:
    if not isinstance(needs, (str, Collection)):
        raise TypeError(f"needs must be a name or a collection of names, but is {needs!r}")
    found = frozenset([needs] if isinstance(needs, str) else needs)
    unknown = [need for need in found if need not in _NEEDS]
    if unknown:
        raise ArgumentError(f"needs must be among {', '.join(_NEEDS)}, but holds {unknown[0]!r}")
    return found


def _has_l1(task: _Task) -> bool:
    return "sparse" in task.needs and not task.self_normalizing


def _activation(task: _Task) -> str:
    if task.self_normalizing:
        return "selu"
    return "swish" if task.deep and "latency" not in task.needs else "relu"


def _net(task: _Task) -> keras.Sequential:
    model = mlp(
        task.input_shape,
        task.n_classes,
        hidden=task.depth,
        units=task.units,
        activation=_activation(task),
        initializer="lecun_normal" if task.self_normalizing else "he_normal",
        batch_norm=not task.self_normalizing,
    )
    layers = list(model.layers)
    if _has_l1(task):
        l1 = keras.regularizers.L1(_L1)
        layers[:-1] = [
            twin(layer, kernel_regularizer=l1) if isinstance(layer, keras.layers.Dense) else layer
            for layer in layers[:-1]
        ]
    if "uncertainty" in task.needs:
        layers.insert(-1, _dropout(task))
    return keras.Sequential([keras.Input(model.input_shape[1:]), *layers])


def _dropout(task: _Task) -> keras.layers.Layer:
    if task.self_normalizing:
        return keras.layers.AlphaDropout(_ALPHA_DROPOUT)
    return keras.layers.Dropout(_DROPOUT)


def _choices_of_net(task: _Task) -> list[tuple[str, str, str]]:
    kind = "deep" if task.deep else "shallow"
    if task.hidden is not None:
        why = f"as you asked; {kind} (from {DEEP} on a net counts as deep)"
    elif task.few:
        why = "few images fill few layers; reuse or pretrain layers where you can"
    elif "latency" in task.needs:
        why = "fewer layers answer sooner"
    else:
        why = "start small; go deeper while it helps"
    rows = [
        ("depth", f"{task.depth} hidden layers", why),
        ("inputs", "standardised", "with the training images' statistics, everywhere"),
    ]
    if task.self_normalizing:
        rows += [
            ("activation", "SELU", "keeps mean 0 and standard deviation 1 through a plain stack"),
            ("weights", "LeCun normal", "a condition of self-normalisation"),
            ("normalisation", "none", "the net normalises itself already"),
        ]
    else:
        activation, why = {
            "swish": ("Swish", "smooth, so no unit dies"),
            "relu": ("ReLU", "simple, and enough in few layers"),
        }[_activation(task)]
        if task.deep and activation == "ReLU":
            why = "no exponential; measure whether Swish is slower"
        rows += [
            ("activation", activation, why),
            ("weights", "He normal", "keeps the signal's size with the ReLU family"),
        ]
        bn = ("BN before each activation", "higher rates, better nets, shallow ones too")
        rows.append(("normalisation", *bn))
    return rows


def _choices_of_training(task: _Task, rate: float, schedule: str) -> list[tuple[str, str, str]]:
    rows = []
    if _has_l1(task):
        rows.append(("sparsity", f"ℓ1 {_L1:g}", "pulls weights that are not needed to 0"))
    elif "sparse" in task.needs:
        rows.append(("sparsity", "prune afterwards", "ℓ1 would break self-normalisation"))
    if "uncertainty" in task.needs:
        kind = "alpha dropout" if task.self_normalizing else "dropout"
        told = f"{kind} {_dropout(task).rate} before the output"
        rows.append(("dropout", told, "Monte Carlo dropout needs one"))
    rows += [
        ("optimizer", "Nesterov", "as good as others once its rate is tuned, with less memory"),
        ("learning rate", f"{rate:g}", "a place to start; see ck.lr_range_test"),
    ]
    if schedule == "1cycle":
        return [
            *rows,
            ("schedule", f"1cycle to {_TOP * rate:g}", "the epochs are fixed beforehand"),
        ]
    plateau = ("schedule", "halved on a plateau", "the validation loss decides")
    return [*rows, plateau, ("end", "early stopping", "keeps the most accurate epoch's weights")]


def _afterwards(task: _Task) -> tuple[str, ...]:
    steps = []
    if "sparse" in task.needs:
        steps.append("set the smallest weights to 0 and test again")
    if "latency" in task.needs:
        if not task.self_normalizing:
            steps.append("fold BN: ck.folding.fold_batch_norm(model)")
        steps.append("compute in float16 or int8 if you measure it faster")
    if "uncertainty" in task.needs:
        steps.append("predict with ck.mc_predict(model, x)")
    return tuple(steps)
