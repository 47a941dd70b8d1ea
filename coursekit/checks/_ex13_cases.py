"""Exercise 13: the cases to choose for, and what is wrong with each wrong choice."""

from __future__ import annotations

OPTIONS = ("relu", "swish", "selu", "reuse", "prune", "shrink", "mc")
_SHALLOW = "That row of the table is for shallow nets; this one has twenty layers."
_NO_BATCH = "Batch normalisation needs a batch: with one sample in it the variance is 0."
_UNTRAINED = "The net has yet to be trained at all; which row of the tables makes a deep one train?"
_AS_SURE = "A smaller or sparser net is as sure of its wrong answers as before."
_AGAIN = "That would need another training, and there is no time for that."
_ALONE = "It still has to learn all from 200 labels alone. Is there nothing to start from?"

# case → the right choice, then a reason against each other one; "" stands for all the rest
_REASONS: dict[str, tuple[str, dict[str, str]]] = {
    "two_layers": ("relu", {
        "swish": "Swish gains in deep nets; in two layers ReLU does as well, and is simpler.",
        "selu": "Self-normalisation pays where a signal passes many layers; here there are two.",
        "": "The case names no such need: no scarce labels, no small device, no risk."}),
    "skips": ("swish", {
        "relu": _SHALLOW, "": _UNTRAINED,
        "selu": "A skip connection adds two signals, so self-normalisation breaks."}),
    "batches_of_one": ("selu", {
        "relu": _NO_BATCH, "swish": _NO_BATCH, "": _UNTRAINED}),
    "few_labels": ("reuse", {
        "mc": "It would tell you how little the net knows; first let it know more.",
        "shrink": "Size is not the trouble here: the labels are.", "": _ALONE}),
    "phone": ("shrink", {
        "reuse": "The net is trained and right; it is only too large and too slow.",
        "mc": "Many predictions in place of one make it slower still.", "": _AGAIN}),
    "harm": ("mc", {
        "shrink": _AS_SURE, "prune": _AS_SURE,
        "reuse": "Better layers may err less; the net still would not say when it doubts.",
        "": "Another activation does not make a net say when it doubts; and this one is trained."}),
    "few_weights": ("prune", {
        "shrink": "Folding and fewer bits save memory; nearly all weights stay different from 0.",
        "mc": "Dropout sets units to 0 for one step or prediction; the weights stay.",
        "reuse": "A reused layer has as many weights as before.",
        "": "No activation sets weights to 0."}),
}  # fmt: skip
CASES: dict[str, dict[str, str | None]] = {
    case: {name: None if name == right else why.get(name, why[""]) for name in OPTIONS}
    for case, (right, why) in _REASONS.items()
}
_RIGHT = {case: right for case, (right, _) in _REASONS.items()}
MISTAKES = {
    f"{case}: {why}": _RIGHT | {case: name}
    for case, options in CASES.items()
    for name, why in options.items()
    if why
}
