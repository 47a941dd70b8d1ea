"""Exercise 15: the four nets, judged by what they compute and how they start."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex15_nets as nets
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import rng

_RATE = 0.1
_OTHER_RATES = (0.01, 0.05, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def check_baseline(answer: Any) -> None:
    """He's variance, Swish in every layer, nothing else."""
    net = nets.build(answer)
    _require_plain(net, "the baseline")
    nets.require_variance(net, 2, "He")
    _require_stack(net, "Swish")
    x = nets.images("baseline training", 8)
    if not nets.agree(net.outputs(x, training=True), net.outputs(x)):
        raise Wrong("In training your net gives other outputs than at inference: is there dropout?")


def check_selu(answer: Any) -> None:
    """LeCun's variance, SELU, a plain stack, and statistics that stay at 0 and 1."""
    net = nets.build(answer)
    _require_plain(net, "a self-normalising net")
    nets.require_variance(net, 1, "LeCun")
    _require_self_normalising(net)
    _require_stack(net, "SELU")
    x = nets.images("selu training", 8)
    if not nets.agree(net.outputs(x, training=True), net.outputs(x)):
        raise Wrong("In training your net gives other outputs than at inference: is there dropout?")


def check_batch_norm(answer: Any) -> None:
    """Batch statistics in training, moving averages at inference, before the activation."""
    net = nets.build(answer)
    n_norms = len(net.others["moving_mean"])
    if n_norms == 0:
        raise Wrong(
            "Your net keeps no moving averages: it has no batch normalisation. (Layer normalisation"
            " is another thing: it has none.)"
        )
    if n_norms != nets.N_HIDDEN:
        raise Wrong(f"{n_norms} of your {nets.N_HIDDEN} hidden layers are normalised.")
    if net.others["bias"]:
        raise Wrong(
            "Your hidden layers still have biases. A constant added to the sums goes away again "
            "when normalisation subtracts their mean: a weight that can never do anything."
        )
    nets.require_variance(net, 2, "He")
    _shake_norms(net)
    x = nets.images("batch_norm", 64)
    averages = [np.asarray(w) for n in ("moving_mean", "moving_variance") for w in net.others[n]]
    inference = net.outputs(x)
    training = net.outputs(x, training=True)
    for weight, found in zip(
        net.others["moving_mean"] + net.others["moving_variance"], averages, strict=True
    ):
        weight.assign(found)
    want = {
        key: nets.probabilities(net, nets.normalised_output(net, x, "Swish", averages=key))
        for key in (True, False)
    }
    if nets.agree(training, want[False]) and nets.agree(inference, want[True]):
        return
    if nets.agree(inference, want[False]):
        raise Wrong(
            "At inference your net normalises with the statistics of the batch it is given, so a "
            "prediction depends on its neighbours. It must use the moving averages."
        )
    if nets.agree(training, want[True]):
        raise Wrong("In training your net normalises with the moving averages, not the batch's.")
    after = nets.normalised_output(net, x, "Swish", averages=True, after=True)
    if nets.agree(inference, nets.probabilities(net, after)):
        raise Wrong("You normalise after the activation; the task wants it before.")
    for name in nets.ACTIVATIONS:
        h = nets.normalised_output(net, x, name, averages=True)
        if nets.agree(inference, nets.probabilities(net, h)):
            raise Wrong(f"After normalising, your hidden layers compute {name}, not Swish.")
    raise Wrong(
        "The outputs are not those of 20 times dense layer, normalisation, Swish, in this order, "
        "and a softmax output."
    )


def check_alpha_dropout(answer: Any) -> None:
    """The self-normalising net; in training, alpha dropout once, right before the output."""
    net = nets.build(answer)
    _require_plain(net, "a self-normalising net")
    nets.require_variance(net, 1, "LeCun")
    x = nets.images("alpha_dropout", 400)
    if not np.array_equal(net.outputs(x), net.outputs(x)):
        raise Wrong("At inference two predictions of the same images differ: dropout stays on.")
    _require_self_normalising(net)
    _require_stack(net, "SELU")
    if np.array_equal(net.outputs(x, training=True), net.outputs(x, training=True)):
        raise Wrong("In training nothing is random: two passes give the same outputs.")
    got, h = _reaching_the_output(net, x)
    if _is_alpha_dropout(got, h, _RATE):
        return
    if np.mean(np.abs(got) < 1e-4) > 0.005:
        raise Wrong(
            "Dropped units are set to 0: that is ordinary dropout, which changes the spread of the "
            "layer's outputs and so ends the self-normalisation."
        )
    if any(_is_alpha_dropout(got, h, rate) for rate in _OTHER_RATES):
        raise Wrong("This is alpha dropout, but not with the rate that the task wants.")
    raise Wrong(
        "In training, what reaches the output is not alpha dropout of the last hidden layer, once. "
        "Do other layers drop units too?"
    )


def _require_plain(net: nets.Net, what: str) -> None:
    if net.others["moving_mean"] or net.others["gamma"] or net.others["beta"]:
        raise Wrong(f"There are normalisation layers in your net; {what} has none.")
    if len(net.others["bias"]) not in (0, nets.N_HIDDEN):
        raise Wrong(f"Only {len(net.others['bias'])} of your hidden layers have a bias.")


def _require_stack(net: nets.Net, activation: str) -> None:
    """Raise Wrong unless the net computes a plain stack with this activation."""
    nets.calibrate(net, activation, f"stack of {activation}")
    x = nets.images("stack", 50)
    got = net.outputs(x)

    def stack_of(name: str) -> np.ndarray:
        return nets.probabilities(net, nets.hidden_outputs(net, x, name)[-1])

    if nets.agree(got, stack_of(activation)):
        return
    for name in nets.ACTIVATIONS:
        if nets.agree(got, stack_of(name)):
            raise Wrong(f"Your hidden layers compute {name}, not {activation}.")
    raise Wrong(
        f"The outputs are not those of a plain stack of dense layers with {activation}, each fed "
        "by the one before, and a softmax output. Does every hidden layer have the activation?"
    )


def _require_self_normalising(net: nets.Net) -> None:
    x = nets.images("self-normalising", 300)
    for layer, h in enumerate(nets.hidden_outputs(net, x, "SELU"), 1):
        if abs(h.mean()) > 0.1 or not 0.8 < h.std() < 1.25:
            raise Wrong(
                f"With inputs of mean 0 and standard deviation 1 the outputs of hidden layer "
                f"{layer} have mean {h.mean():.2f} and standard deviation {h.std():.2f}: the net "
                "does not normalise itself."
            )


def _shake_norms(net: nets.Net) -> None:
    draw = rng("shaken")
    for name, low, high in (
        ("gamma", 0.7, 1.3),
        ("beta", -0.6, 0.6),
        ("moving_mean", -0.4, 0.4),
        ("moving_variance", 0.6, 1.6),
    ):
        for weight in net.others[name]:
            weight.assign(draw.uniform(low, high, size=nets.UNITS))


def _reaching_the_output(net: nets.Net, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return nine units as the output layer sees them in training, and as they left the last layer.

    The output layer is set to pass nine units on as logits, beside one logit that is 0.
    """
    kernel = np.zeros((nets.UNITS, nets.N_CLASSES))
    kernel[range(9), range(9)] = 1
    net.kernels[-1].assign(kernel)
    if net.output_bias is not None:
        net.output_bias.assign(np.zeros(nets.N_CLASSES))
    log = np.log(np.maximum(net.outputs(x, training=True), 1e-30))
    return log[:, :9] - log[:, 9:], nets.hidden_outputs(net, x, "SELU")[-1][:, :9]


def _is_alpha_dropout(got: np.ndarray, h: np.ndarray, rate: float) -> bool:
    """Dropped units have SELU's lowest value, then all are scaled and shifted."""
    low = -nets.SELU_SCALE * nets.SELU_ALPHA
    scale = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    shift = -scale * low * rate
    kept = np.isclose(got, scale * h + shift, atol=0.01, rtol=0.005)
    dropped = np.isclose(got, scale * low + shift, atol=0.01)
    spread = 5 * np.sqrt(rate * (1 - rate) / got.size)
    lowest = np.isclose(h, low, atol=0.02).mean()  # these look dropped and kept at once
    return bool(
        (kept | dropped).all() and abs(np.mean(dropped & ~kept) - rate) < spread + 2 * rate * lowest
    )
