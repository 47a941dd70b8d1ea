"""Ten optimizers, each update at most ten lines: θ a parameter, g its gradient, η learning_rate.

`optimizer.update(params, grads)` changes the arrays of the dict `params` in place. Every formula is
Keras'; the docstring says where the paper's is another. (Keras rounds β, ρ and λ to float32 even in
float64; given the rounded ones, 50 steps agree to 1e-9, otherwise to 1e-5.)
The slots of an optimizer are the arrays it keeps for each parameter: its memory.

>>> import numpy as np
>>> params = {"w": np.array([1.0, -2.0])}
>>> SGD(learning_rate=0.1).update(params, {"w": np.array([10.0, 0.0])})
>>> params["w"].tolist()
[0.0, -2.0]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from coursekit.base.numbers import number
from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import real_array


class Optimizer:
    """What all share: the slots, the step count and the checks. `learning_rate` may be changed."""

    slots: tuple[str, ...] = ()  # names of the arrays kept for each parameter
    slots_start_at = 0.0

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = number("learning_rate", learning_rate, 0)
        self.iterations = 0
        self.state: dict[str, dict[str, np.ndarray]] = {}

    def update(self, params: Mapping[str, np.ndarray], grads: Mapping[str, Any]) -> None:
        """Take one step: change every array of `params` in place, by the gradient of its name.

        Nothing is changed if anything is wrong: ArgumentError when names or shapes differ,
        TypeError when a parameter is not a writeable array of floats. Empty dicts are no step.
        """
        if set(params) != set(grads):
            raise ArgumentError(
                f"params and grads must have the same names; params has {sorted(params)}, grads "
                f"has {sorted(grads)}."
            )
        gradients = {name: _checked(name, params[name], grads[name]) for name in params}
        if not params:
            return
        self.iterations += 1
        self._begin_step(self.iterations)
        for name, g in gradients.items():
            if name not in self.state:
                start = np.full_like(g, self.slots_start_at)
                self.state[name] = {slot: start.copy() for slot in self.slots}
            self._step(params[name], g, **self.state[name])

    def _begin_step(self, t: int) -> None:
        """Compute what all parameters share in step t = 1, 2, …"""

    def _step(self, theta: np.ndarray, g: np.ndarray, **slots: np.ndarray) -> None:
        raise NotImplementedError


def _checked(name: str, theta: Any, g: Any) -> np.ndarray:
    floats = isinstance(theta, np.ndarray) and theta.dtype.kind == "f" and theta.flags.writeable
    if not floats:
        raise TypeError(
            f"params[{name!r}] must be a writeable NumPy array of floats, as it is changed in "
            f"place; got {getattr(theta, 'dtype', type(theta).__name__)}."
        )
    g = real_array(f"grads[{name!r}]", g)
    if g.shape != theta.shape:
        raise ArgumentError(
            f"grads[{name!r}] has shape {g.shape}, but the parameter has shape {theta.shape}."
        )
    return g


class SGD(Optimizer):
    """Gradient descent θ ← θ − ηg (Robbins & Monro 1951)."""

    def __init__(self, learning_rate: float = 0.01) -> None:
        super().__init__(learning_rate)

    def _step(self, theta, g):
        theta -= self.learning_rate * g


class Momentum(Optimizer):
    """Momentum m ← βm − ηg, θ ← θ + m (Polyak 1964; Sutskever et al. 2013, eq. 1, 2).

    β is `momentum`; a constant gradient ends in the terminal velocity −ηg / (1 − β).
    Keras: `SGD(momentum=...)`.
    """

    slots = ("m",)

    def __init__(self, learning_rate: float = 0.01, *, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        self.momentum = number("momentum", momentum, 0, 1, ends="[]")

    def _step(self, theta, g, m):
        m[...] = self.momentum * m - self.learning_rate * g
        theta += m


class Nesterov(Momentum):
    """Nesterov momentum (Nesterov 1983; Sutskever et al. 2013, eq. 3, 4).

    The paper measures the gradient ahead, at θ + βm. Keras, `SGD(momentum=..., nesterov=True)`,
    keeps that place ahead as its variable: with θ' = θ + βm the same rule is m ← βm − ηg(θ'),
    θ' ← θ' + βm − ηg, and the gradient is taken where the variables are.
    """

    def _step(self, theta, g, m):
        m[...] = self.momentum * m - self.learning_rate * g
        theta += self.momentum * m - self.learning_rate * g


class AdaGrad(Optimizer):
    """AdaGrad s ← s + g², θ ← θ − ηg / √(s + ε) (Duchi, Hazan & Singer 2011, eq. 1).

    The paper divides by δ + √s and starts at s = 0; Keras has ε under the root and starts at
    `initial_accumulator_value`.
    """

    slots = ("s",)

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
    ) -> None:
        super().__init__(learning_rate)
        self.slots_start_at = number("initial_accumulator_value", initial_accumulator_value, 0)
        self.epsilon = number("epsilon", epsilon, 0, ends="()")

    def _step(self, theta, g, s):
        s += g**2
        theta -= self.learning_rate * g / np.sqrt(s + self.epsilon)


class AdaDelta(Optimizer):
    """AdaDelta (Zeiler 2012, algorithm 1): past steps d over past gradients s set the step δ.

    The paper has no learning rate. Keras multiplies the step by one, 0.001 by default, with which
    it hardly moves: take `learning_rate=1.0` for the paper's rule.
    """

    slots = ("s", "d")

    def __init__(
        self, learning_rate: float = 0.001, *, rho: float = 0.95, epsilon: float = 1e-7
    ) -> None:
        super().__init__(learning_rate)
        self.rho = number("rho", rho, 0, 1)
        self.epsilon = number("epsilon", epsilon, 0, ends="()")

    def _step(self, theta, g, s, d):
        s[...] = self.rho * s + (1 - self.rho) * g**2
        delta = np.sqrt(d + self.epsilon) / np.sqrt(s + self.epsilon) * g
        d[...] = self.rho * d + (1 - self.rho) * delta**2
        theta -= self.learning_rate * delta


class RMSProp(Optimizer):
    """RMSProp s ← ρs + (1 − ρ)g², θ ← θ − ηg / √(s + ε) (Tieleman & Hinton 2012, lecture 6e).

    The lecture divides by √s without ε; Keras puts ε under the root (others add it to √s).
    """

    slots = ("s",)

    def __init__(
        self, learning_rate: float = 0.001, *, rho: float = 0.9, epsilon: float = 1e-7
    ) -> None:
        super().__init__(learning_rate)
        self.rho = number("rho", rho, 0, 1)
        self.epsilon = number("epsilon", epsilon, 0, ends="()")

    def _step(self, theta, g, s):
        s[...] = self.rho * s + (1 - self.rho) * g**2
        theta -= self.learning_rate * g / np.sqrt(s + self.epsilon)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1): momentum over RMSProp, both corrected for their start.

    m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ). The paper's step is ηm̂ / (√v̂ + ε). Keras adds ε to √v
    before the correction (the end of the paper's section 2), as if ε were ε / √(1 − β₂ᵗ).
    """

    slots = ("m", "v")

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1 = number("beta_1", beta_1, 0, 1)
        self.beta_2 = number("beta_2", beta_2, 0, 1)
        self.epsilon = number("epsilon", epsilon, 0, ends="()")

    def _step(self, theta, g, m, v):
        t = self.iterations
        m[...] = self.beta_1 * m + (1 - self.beta_1) * g
        v[...] = self.beta_2 * v + (1 - self.beta_2) * g**2
        m_hat = m / (1 - self.beta_1**t)
        v_hat = v / (1 - self.beta_2**t)
        epsilon = self.epsilon / np.sqrt(1 - self.beta_2**t)
        theta -= self.learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


class AdaMax(Adam):
    """AdaMax (Kingma & Ba 2015, algorithm 2): Adam with the largest recent |g| for √v.

    u ← max(β₂u, |g|), θ ← θ − ηm̂ / u. Keras divides by u + ε, so that a zero gradient is no 0 / 0.
    """

    slots = ("m", "u")

    def _step(self, theta, g, m, u):
        m[...] = self.beta_1 * m + (1 - self.beta_1) * g
        u[...] = np.maximum(self.beta_2 * u, np.abs(g))
        m_hat = m / (1 - self.beta_1**self.iterations)
        theta -= self.learning_rate * m_hat / (u + self.epsilon)


class Nadam(Adam):
    """Nadam = Adam + Nesterov momentum (Dozat 2016), not "AdaDelta + NAG".

    β₁ is warmed up: μₜ = β₁(1 − 0.96ᵗ / 2), and m̂ looks one step ahead with μₜ₊₁. The paper warms
    up 250 times slower, with 0.96^(t / 250).
    """

    def _begin_step(self, t):
        self._mu = self.beta_1 * (1 - 0.5 * 0.96**t)
        self._mu_next = self.beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
        self._mu_product = self._mu * (self._mu_product if t > 1 else 1.0)

    def _step(self, theta, g, m, v):
        m[...] = self.beta_1 * m + (1 - self.beta_1) * g
        v[...] = self.beta_2 * v + (1 - self.beta_2) * g**2
        m_hat = self._mu_next * m / (1 - self._mu_product * self._mu_next)
        m_hat += (1 - self._mu) * g / (1 - self._mu_product)
        v_hat = v / (1 - self.beta_2**self.iterations)
        theta -= self.learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon)


class AdamW(Adam):
    """AdamW (Loshchilov & Hutter 2019, algorithm 2): θ ← θ − ηλθ beside Adam's step.

    λ is `weight_decay`. The decay stays out of m and v, unlike an ℓ2 penalty in the loss. The paper
    multiplies λ by the schedule alone, Keras by the whole learning rate; both decay biases too.
    """

    def __init__(
        self, learning_rate: float = 0.001, *, weight_decay: float = 0.004, **adam: float
    ) -> None:
        super().__init__(learning_rate, **adam)
        self.weight_decay = number("weight_decay", weight_decay, 0)

    def _step(self, theta, g, m, v):
        theta -= self.learning_rate * self.weight_decay * theta
        super()._step(theta, g, m, v)
