"""Which answers can be judged from outside, and which only beside the learner's code.

An answer of numbers, text and functions on them is judged by plain data: the check runs in a
process of its own and calls the answer in the learner's. What is or takes a Keras object cannot be
sent, and is judged beside the learner's code. Plain is the rule, so that a new task is judged
safely or not at all; a test presents every known answer of every task both ways.
"""

from __future__ import annotations

BESIDE: dict[int, frozenset[str]] = {
    1: frozenset({"gradient_norms"}),
    2: frozenset({"named_initializer", "he_avg_dense", "repair"}),
    3: frozenset({"prelu", "trainable_swish", "rrelu"}),
    4: frozenset({"hidden_block"}),
    5: frozenset({"train_step"}),
    6: frozenset({"copy_and_freeze", "new_output", "moved_layers", "two_phases"}),
    7: frozenset({"with_head"}),
    9: frozenset({"power_schedule", "range_test", "one_cycle_callback"}),
    10: frozenset({"elastic_dense", "train_step"}),
    11: frozenset({"mc_dropout", "mc_samples"}),
    12: frozenset({"honest_search"}),
    13: frozenset({"one_batch_loss", "cure"}),
    15: frozenset({
        "build_baseline", "build_batch_norm", "build_selu", "build_alpha_dropout", "prepare",
        "find_rate", "train", "mc_predict", "one_cycle",
    }),
}  # fmt: skip


def is_plain(number: int, task: str) -> bool:
    """Return whether the answer to a task is judged by plain data, apart from the learner's code.

    >>> is_plain(8, "adam"), is_plain(9, "one_cycle_callback")
    (True, False)
    """
    return task not in BESIDE.get(number, ())
