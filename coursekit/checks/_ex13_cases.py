"""Exercise 13: the cases to choose for, and what is wrong with each wrong choice."""

from __future__ import annotations

OPTIONS = ("relu", "swish", "selu", "reuse", "prune", "shrink", "mc")
_SHALLOW = "That row of the table is for shallow nets; this one has twenty layers."
_UNTRAINED = "The net has yet to be trained at all; which row of the tables makes a deep one train?"

# case → the right choice, then a reason against each other one; "" stands for all the rest
_REASONS: dict[str, tuple[str, dict[str, str]]] = {
    "two_layers": ("relu", {
        "swish": "Batch normalisation and a smooth activation are for deep nets; two layers train "
                 "without them, and faster.",
        "selu": "Self-normalisation pays where a signal passes many layers; here there are two.",
        "": "The case names no such need: no scarce labels, no small device, no risk.",
    }),
    "skips": ("swish", {
        "relu": _SHALLOW,
        "selu": "A skip connection adds two signals: the conditions of self-normalisation are "
                "broken.",
        "": _UNTRAINED,
    }),
    "batches_of_one": ("selu", {
        "relu": _SHALLOW,
        "swish": "Batch normalisation needs a batch: with one sample in it the variance is 0.",
        "": _UNTRAINED,
    }),
    "few_labels": ("reuse", {
        "mc": "It would tell you how little the net knows; first let it know more.",
        "prune": "A sparse net still has to learn all from 200 labels. Is there nothing to start "
                 "from?",
        "shrink": "Size is not the trouble here: the labels are.",
        "": "It can be trained this way, but from 200 labels alone. Is there nothing to start "
            "from?",
    }),
    "phone": ("shrink", {
        "prune": "With ℓ1 you would have to train again, and there is no time for that.",
        "reuse": "The net is trained and right; it is only too large and too slow.",
        "mc": "Many predictions in place of one make it slower still.",
        "": "Another architecture has to be trained again, and there is no time for that.",
    }),
    "harm": ("mc", {
        "shrink": "A smaller net is as sure of its wrong answers as before.",
        "prune": "A sparse net is as sure of its wrong answers as before.",
        "reuse": "Better layers may make fewer mistakes; the net still would not say when it "
                 "doubts.",
        "": "Another activation does not make a net say when it doubts; and this one is trained.",
    }),
    "few_weights": ("prune", {
        "shrink": "Folding and fewer bits make weights smaller in memory; nearly all of them stay "
                  "different from 0.",
        "mc": "Dropout sets units to 0 for one step or prediction; the weights stay.",
        "reuse": "A reused layer has as many weights as before.",
        "": "No activation sets weights to 0.",
    }),
}  # fmt: skip

CASES: dict[str, dict[str, str | None]] = {
    case: {option: None if option == right else reasons.get(option, reasons[""])
           for option in OPTIONS}
    for case, (right, reasons) in _REASONS.items()
}  # fmt: skip

_RIGHT = {case: right for case, (right, _) in _REASONS.items()}
MISTAKES = {
    f"{case}: {reason}": _RIGHT | {case: option}
    for case, options in CASES.items()
    for option, reason in options.items()
    if reason
}
