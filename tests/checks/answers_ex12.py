"""Right and wrong answers to exercise 12, hyperparameter tuning."""

from __future__ import annotations

import numpy as np

# A log-uniform sampler


def log_uniform(low, high, n, rng):
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def log_uniform_one_by_one(low, high, n, rng):
    return [low * (high / low) ** rng.random() for _ in range(n)]


LOG_UNIFORM = {
    "right": [
        log_uniform,
        log_uniform_one_by_one,
        lambda low, high, n, rng: 10 ** rng.uniform(np.log10(low), np.log10(high), size=n),
        lambda low, high, n, rng: low / np.exp(-rng.random(n) * np.log(high / low)),
    ],
    "wrong": [
        (lambda low, high, n, rng: np.geomspace(low, high, n), "come in order"),
        (lambda low, high, n, rng: rng.permutation(np.geomspace(low, high, n)),
         "Different generators give the same values"),
        (lambda low, high, n, rng: log_uniform(low, high, 10, rng), "has shape (10,)"),
        (lambda low, high, n, rng: low * (high / low) ** rng.random(n) ** 2, "not distributed as"),
        (lambda low, high, n, rng: 10.0 ** rng.integers(np.log10(low), np.log10(high), n),
         "not distributed as asked: they run from 0.0001 to 0.1"),
        (lambda low, high, n, rng: 10 ** rng.uniform(np.log10(low), 0, n), "From 0.02 to 60"),
        (lambda low, high, n, rng: np.full(n, log_uniform(low, high, 1, rng)), "not distributed"),
        (lambda low, high, n: np.ones(n), "cannot be called with 4 arguments"),
    ],
}  # fmt: skip

# Whole numbers


WHOLE_NUMBERS = {
    "right": [
        lambda low, high, n, rng: rng.integers(low, high + 1, n),
        lambda low, high, n, rng: rng.integers(low, high, size=n, endpoint=True),
        lambda low, high, n, rng: np.floor(rng.uniform(low, high + 1, n)).astype(int),
        lambda low, high, n, rng: rng.choice(np.arange(low, high + 1), n),
    ],
    "wrong": [
        (lambda low, high, n, rng: rng.uniform(low, high, n), "dtype float64; expected int"),
        (lambda low, high, n, rng: np.floor(rng.uniform(low, high + 1, n)), "expected int"),
        (lambda low, high, n, rng: rng.integers(low, high + 2, n), "they run from 2 to 6"),
        (lambda low, high, n, rng: np.maximum(*rng.integers(low, high + 1, (2, n))),
         "From 2 to 5 your values are not distributed as asked"),
    ],
}  # fmt: skip

# From coarse to fine


def coarse_to_fine(loss, low, high, stages, n, rng):
    tried, ranges = [], []
    for _ in range(stages):
        ranges.append((low, high))
        pairs = [(loss(value), value) for value in log_uniform(low, high, n, rng)]
        stage = sorted((10**9 if np.isnan(found) else found, value) for found, value in pairs)
        tried += stage
        good = [value for _, value in stage[: n // 4]]
        low, high = max(low, min(good) / 2), min(high, max(good) * 2)
    return min(tried)[1], ranges


def coarse_to_fine_with_arrays(loss, low, high, stages, n, rng):
    best, best_loss, ranges = None, np.inf, np.empty((stages, 2))
    for i in range(stages):
        ranges[i] = low, high
        values = 10 ** rng.uniform(np.log10(low), np.log10(high), n)[::-1]
        losses = np.array([loss(value) for value in values])
        if np.nanmin(losses) < best_loss:
            best, best_loss = values[np.nanargmin(losses)], np.nanmin(losses)
        kept = values[np.argsort(losses)[: n // 4]]
        low, high = np.clip([kept.min() / 2, kept.max() * 2], low, high)
    return best, ranges


def searching(mistake):
    def search(loss, low, high, stages, n, rng):
        best, best_loss, ranges = None, 100 if mistake == "small start" else np.inf, []
        for _ in range(stages):
            ranges.append((low, high))
            values = log_uniform(low, high, n, rng)
            if mistake == "all at once":
                loss(values)
            losses = np.nan_to_num([loss(value) for value in values], nan=np.inf)
            i = int(np.argmin(losses))
            if losses[i] < best_loss:
                best, best_loss = values[i : i + 1] if mistake == "array" else values[i], losses[i]
            kept = values[np.argsort(losses)[: 4 if mistake == "four" else n // 4]]
            if mistake == "one side":
                low, high = kept.min(), min(high, 2 * kept.max())
            elif mistake == "factor 10":
                low, high = max(low, kept.min() / 10), min(high, 10 * kept.max())
            elif mistake != "stay":
                low, high = max(low, kept.min() / 2), min(high, 2 * kept.max())
        if mistake == "again":
            loss(best)
        if mistake == "swapped ends":
            ranges = [pair[::-1] for pair in ranges]
        return best if mistake == "only best" else (best, ranges)

    return search


COARSE_TO_FINE = {
    "right": [coarse_to_fine, coarse_to_fine_with_arrays, searching("")],
    "wrong": [
        (searching("four"), "`ranges`: at index (1, 1)"),
        (searching("one side"), "`ranges`: at index (1, 0)"),
        (searching("factor 10"), "`ranges`: at index (1, 0)"),
        (searching("stay"), "`ranges`: at index (1, 0) you give 1e-06"),
        (searching("swapped ends"), "`ranges`: at index (0, 0) you give 1"),
        (searching("again"), "calls `loss` 37 times"),
        (searching("only best"), "Expected `best`, `ranges`"),
        (searching("array"), "`best`"),
        (searching("small start"), "Your `best` is None"),
        (searching("all at once"), "you pass to `loss` is an array of shape (12,)"),
    ],
}

# Successive halving


def halving_recursively(train, configurations, first, eta):
    if len(configurations) == 1:
        return configurations[0], 0
    ranked = sorted(configurations, key=lambda c: np.nan_to_num(train(c, first), nan=1e9))
    winner, spent = halving_recursively(
        train, ranked[: max(len(ranked) // eta, 1)], first * eta, eta
    )
    return winner, spent + first * len(ranked)


def halving_until_one_is_left(train, configurations, first, eta):
    left, budget, spent = configurations, first, 0
    while True:
        rung = sorted((np.nan_to_num(train(c, budget), nan=1e9), i) for i, c in enumerate(left))
        spent += budget * len(left)
        left = [left[i] for _, i in rung[: max(1, len(left) // eta)]]
        if len(left) == 1:
            return left[0], spent
        budget *= eta


def halving_variant(mistake):
    def variant(train, configurations, first, eta):
        left, budget, spent = list(configurations), first, 0
        if mistake == "in place":
            left = configurations
        while len(left) > (0 if mistake == "no end" else 1):
            losses = [train(configuration, budget) for configuration in left]
            if mistake == "twice":
                losses = [train(configuration, budget) for configuration in left]
            spent += budget * len(left)
            left[:] = [left[i] for i in np.argsort(losses)[: max(1, len(left) // eta)]]
            budget = budget * float(eta) if mistake == "float" else budget * eta
        if mistake == "only":
            return left[0]
        winner = {"list": left, "winner": configurations[0]}.get(mistake, left[0])
        return winner, spent - (mistake == "off")

    return variant


SUCCESSIVE_HALVING = {
    "right": [halving_recursively, halving_until_one_is_left, halving_variant("")],
    "wrong": [
        (halving_variant("twice"), "how many are trained in each rung: place 0: you give 16"),
        (halving_variant("off"), "the number of epochs: you give 23"),
        (halving_variant("list"), "Your winner is a list of 1"),
        (halving_variant("winner"), "the place of the winner in the list: you give 0"),
        (halving_variant("only"), "Expected `winner`, `epochs`"),
        (halving_variant("in place"), "changes its argument `configurations` in place"),
        (halving_variant("no end"), "does not stop"),
        (halving_variant("float"), "You train for 2 epochs; pass a whole number, an int"),
        (
            lambda t, c, f, e: halving_recursively(lambda a, b: t(b, a), c, f, e),
            "no configuration of the list",
        ),
    ],
}

# An honest search


def honest_search(fit, configurations, data):
    models = [fit(c, data.x_train, data.y_train) for c in configurations]
    scores = [model.score(data.x_valid, data.y_valid) for model in models]
    best = int(np.argmax(scores))
    return configurations[best], scores[best], models[best].score(data.x_test, data.y_test)


def honest_search_with_max(fit, configurations, data):
    tried = []
    for i, configuration in enumerate(configurations):
        model = fit(configuration, data.x_train.copy(), list(data.y_train))
        tried.append((model.score(data.x_valid, data.y_valid), i, model))
    score, i, model = max(tried, key=lambda one: one[:2])
    return [configurations[i], score, model.score(data.x_test, data.y_test)]


def dishonest(mistake):
    def search(fit, configurations, data):
        models = [fit(c, data.x_train, data.y_train) for c in configurations]
        scores = [model.score(data.x_valid, data.y_valid) for model in models]
        best = int(np.argmax(scores))
        model, score = models[best], float(np.mean(scores)) if mistake == "mean" else scores[best]
        if mistake == "both":
            x = np.concatenate([data.x_train, data.x_valid])
            model = fit(configurations[best], x, np.concatenate([data.y_train, data.y_valid]))
        if mistake == "next":
            model = models[(best + 1) % len(models)]
        rows = slice(5 if mistake == "part" else None)
        labels = data.y_valid if mistake == "mixed" else data.y_test
        test = model.score(data.x_test[rows], labels[rows])
        if mistake == "two":
            return configurations[best], test
        return best if mistake == "index" else configurations[best], score, test

    return search


def keeps_the_best_so_far(fit, configurations, data):
    best = (None, 0.5, None)  # a start that real scores may never reach
    for configuration in configurations:
        model = fit(configuration, data.x_train, data.y_train)
        if (score := model.score(data.x_valid, data.y_valid)) > best[1]:
            best = configuration, score, model
    return *best[:2], best[2].score(data.x_test, data.y_test) if best[2] else 0.0


def trains_on_validation(fit, configurations, data):
    model = fit(configurations[0], data.x_valid, data.y_valid)
    return configurations[0], 0.5, model.score(data.x_test, data.y_test)


HONEST_SEARCH = {
    "right": [honest_search, honest_search_with_max, dishonest("")],
    "wrong": [
        (dishonest("next"), "the models scored on the test data: place 0"),
        (dishonest("part"), "pass to `score` something else than all images of one part"),
        (dishonest("mixed"), "something else than all images of one part with their labels"),
        (dishonest("both"), "pass to `fit` something else than all images of one part"),
        (dishonest("mean"), "the validation score: you give 0."),
        (dishonest("two"), "Expected `configuration`"),
        (dishonest("index"), "Your first result is the number"),
        (keeps_the_best_so_far, "Your first result is None"),
        (trains_on_validation, "You train on the validation data"),
        (lambda f, c, d: honest_search(f, c[:3], d), "which are trained: you give 3 of them"),
        (lambda f, c, d: honest_search(f, c[::-1][:1], d), "which are trained"),
    ],
}

ANSWERS = {
    "log_uniform": LOG_UNIFORM,
    "whole_numbers": WHOLE_NUMBERS,
    "coarse_to_fine": COARSE_TO_FINE,
    "successive_halving": SUCCESSIVE_HALVING,
    "honest_search": HONEST_SEARCH,
}
