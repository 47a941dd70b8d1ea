"""Answers to exercise 12, hyperparameter tuning."""

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
    ],
    "wrong": [
        (lambda low, high, n, rng: rng.uniform(low, high, n), "Your values are uniform"),
        (lambda low, high, n, rng: rng.uniform(np.log(low), np.log(high), n), "negative or 0"),
        (lambda low, high, n, rng: np.exp(rng.uniform(np.log10(low), np.log10(high), n)),
         "must have the same base"),
        (lambda low, high, n, rng: np.geomspace(low, high, n), "come in order"),
        (lambda low, high, n, rng: np.exp(
            np.random.default_rng().uniform(np.log(low), np.log(high), n)),
         "draw from `rng` and from nothing else"),
        (lambda low, high, n, rng: log_uniform(low, high, n, np.random.default_rng(0)),
         "Different generators give the same values"),
        (lambda low, high, n, rng: log_uniform(low, high, 10, rng), "has shape (10,)"),
        (lambda low, high, n, rng: low * (high / low) ** rng.random(n) ** 2, "not log-uniform"),
        (lambda low, high, n, rng: low * (high / low) ** rng.choice([0.1, 0.4, 0.6, 0.9], n),
         "Only a few different values"),
        (lambda low, high, n: np.ones(n), "cannot be called with 4 arguments"),
    ],
}  # fmt: skip

# Whole numbers


def whole_numbers(low, high, n, rng):
    return rng.integers(low, high + 1, n)


WHOLE_NUMBERS = {
    "right": [
        whole_numbers,
        lambda low, high, n, rng: rng.integers(low, high, size=n, endpoint=True),
        lambda low, high, n, rng: np.floor(rng.uniform(low, high + 1, n)).astype(int),
        lambda low, high, n, rng: rng.choice(np.arange(low, high + 1), n),
    ],
    "wrong": [
        (lambda low, high, n, rng: rng.integers(low, high, n), "the upper end, 5, never comes"),
        (lambda low, high, n, rng: rng.integers(low + 1, high + 1, n), "the lower end, 2"),
        (lambda low, high, n, rng: np.round(rng.uniform(low, high, n)).astype(int),
         "Did you round uniform numbers"),
        (lambda low, high, n, rng: rng.uniform(low, high, n), "expected an integer type"),
        (lambda low, high, n, rng: np.floor(rng.uniform(low, high + 1, n)), "an integer type"),
        (lambda low, high, n, rng: rng.integers(low, high + 2, n), "lie outside 2 to 5"),
        (lambda low, high, n, rng: whole_numbers(low, high, n, np.random.default_rng(1)),
         "Different generators give the same values"),
        (lambda low, high, n, rng: np.maximum(*rng.integers(low, high + 1, (2, n))),
         "likelier than others"),
    ],
}  # fmt: skip

# From coarse to fine


def coarse_to_fine(loss, low, high, stages, n, rng):
    tried, ranges = [], []
    for _ in range(stages):
        ranges.append((low, high))
        stage = sorted((loss(value), value) for value in log_uniform(low, high, n, rng))
        tried += stage
        good = [value for _, value in stage[: n // 4]]
        low, high = min(good), max(good)
    return min(tried)[1], ranges


def coarse_to_fine_with_arrays(loss, low, high, stages, n, rng):
    best, best_loss, ranges = None, np.inf, np.empty((stages, 2))
    for i in range(stages):
        ranges[i] = low, high
        values = 10 ** rng.uniform(np.log10(low), np.log10(high), n)
        losses = np.array([loss(value) for value in values])
        if losses.min() < best_loss:
            best, best_loss = values[losses.argmin()], losses.min()
        kept = values[np.argsort(losses)[: n // 4]]
        low, high = kept.min(), kept.max()
    return best, ranges


def searching(mistake):
    def search(loss, low, high, stages, n, rng):
        tried, ranges = [], []
        for _ in range(stages):
            ranges.append([low, high])
            draw = np.random.default_rng(5) if mistake == "own seed" else rng
            values = log_uniform(low, high, n, draw)
            if mistake == "uniform":
                values = draw.uniform(low, high, n)
            stage = sorted((loss(value), value) for value in values)
            tried += stage
            pool = sorted(tried) if mistake == "pool" else stage
            count = {"all": n, "half": n // 2, "three": 3, "pool": len(tried) // 4}.get(
                mistake, n // 4
            )
            good = pool[-count:] if mistake == "worst" else pool[:count]
            if mistake == "around":
                low, high = stage[0][1] / 2, stage[0][1] * 2
            elif mistake != "stay":
                low, high = min(v for _, v in good), max(v for _, v in good)
        best_loss, best = min(stage if mistake == "last" else tried)
        if mistake == "again":
            loss(best)
        if mistake == "loss":
            return best_loss, ranges
        if mistake == "highest":
            return max(tried)[1], ranges
        if mistake == "only best":
            return best
        if mistake == "last range":
            return best, ranges[-1]
        if mistake == "swapped":
            return ranges, best
        return best, ranges

    return search


COARSE_TO_FINE = {
    "right": [coarse_to_fine, coarse_to_fine_with_arrays, searching("")],
    "wrong": [
        (searching("last"), "that of the last stage"),
        (searching("worst"), "highest losses; keep the lowest"),
        (searching("all"), "spans all values of the stage"),
        (searching("half"), "spans the best half"),
        (searching("pool"), "the trials of all stages"),
        (searching("three"), "not that of the best values"),
        (searching("around"), "not that of the best values"),
        (searching("stay"), "not that of the best values"),
        (searching("uniform"), "not log-uniform"),
        (searching("again"), "calls `loss` 37 times"),
        (searching("loss"), "the lowest loss in place of the value"),
        (searching("highest"), "the one with the highest loss"),
        (searching("own seed"), "different generators try the same values"),
        (searching("only best"), "Expected two things"),
        (searching("last range"), "Expected a list of 3 ranges"),
        (searching("swapped"), "Expected a list of 3 ranges"),
    ],
}

# Successive halving


def halving(train, configurations, first, eta):
    left, budget, spent = list(configurations), first, 0
    while len(left) > 1:
        losses = [train(configuration, budget) for configuration in left]
        spent += budget * len(left)
        left = [left[i] for i in np.argsort(losses)[: max(1, len(left) // eta)]]
        budget *= eta
    return left[0], spent


def halving_recursively(train, configurations, first, eta):
    if len(configurations) == 1:
        return configurations[0], 0
    ranked = sorted(configurations, key=lambda c: train(c, first))
    winner, spent = halving_recursively(
        train, ranked[: max(len(ranked) // eta, 1)], first * eta, eta
    )
    return winner, spent + first * len(ranked)


def halving_variant(mistake):
    def variant(train, configurations, first, eta):
        left, budget, spent, trainings = list(configurations), first, 0, 0
        if mistake == "in place":
            left = configurations
        while len(left) > 1 or (mistake == "one more" and left):
            losses = [train(configuration, budget) for configuration in left]
            if mistake == "twice":
                losses = [train(configuration, budget) for configuration in left]
            spent += budget if mistake == "rung" else budget * len(left)
            trainings += len(left)
            order = np.argsort(losses)
            if mistake == "worst":
                order = order[::-1]
            if mistake == "one more" and len(left) == 1:
                break
            count = max(1, -(-len(left) // eta)) if mistake == "ceil" else max(1, len(left) // eta)
            if mistake == "ceil" and count == len(left):
                count -= 1
            if mistake == "two":
                count = max(1, len(left) // 2)
            left[:] = [left[i] for i in order[:count]]
            budget = {"same": budget, "add": budget + first, "double": 2 * budget}.get(
                mistake, budget * eta
            )
        if mistake == "trainings":
            return left[0], trainings
        if mistake == "list":
            return left, spent
        if mistake == "winner":
            return configurations[0], spent
        if mistake == "only":
            return left[0]
        return left[0], spent - (mistake == "off")

    return variant


SUCCESSIVE_HALVING = {
    "right": [halving, halving_recursively, halving_variant("")],
    "wrong": [
        (halving_variant("worst"), "the worst of the last rung are trained"),
        (halving_variant("same"), "the budget is not eta times the last"),
        (halving_variant("add"), "the budget is not eta times the last"),
        (halving_variant("double"), "the budget is not eta times the last"),
        (halving_variant("two"), "others than the best"),
        (halving_variant("ceil"), "round down how many go on"),
        (halving_variant("twice"), "others than the best"),
        (halving_variant("one more"), "Stop when one configuration is left"),
        (halving_variant("rung"), "count each rung once"),
        (halving_variant("trainings"), "count the epochs of each training"),
        (halving_variant("off"), "not the sum over all trainings"),
        (halving_variant("list"), "Expected one of the configurations"),
        (halving_variant("winner"), "not the configuration that survives"),
        (halving_variant("only"), "Expected two things"),
        (halving_variant("in place"), "changes its argument `configurations` in place"),
        (lambda t, c, f, e: halving(lambda a, b: t(b, a), c, f, e), "no configuration of the list"),
        (lambda t, c, f, e: halving(t, c, 1, e), "trained for `first` epochs"),
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
    score, i, model = max(tried)
    return [configurations[i], score, model.score(data.x_test, data.y_test)]


def dishonest(mistake):
    def search(fit, configurations, data):
        models = [fit(c, data.x_train, data.y_train) for c in configurations]
        scores = [model.score(data.x_valid, data.y_valid) for model in models]
        if mistake == "test":
            scores = [model.score(data.x_test, data.y_test) for model in models]
        if mistake == "train":
            scores = [model.score(data.x_train, data.y_train) for model in models]
        best = int(np.argmin(scores) if mistake == "lowest" else np.argmax(scores))
        model = models[best]
        if mistake == "again":
            model = fit(configurations[best], data.x_train, data.y_train)
        if mistake == "last":
            model = models[(best + 1) % len(models)]
        if mistake == "no test":
            return configurations[best], scores[best], scores[best]
        if mistake == "part":
            return configurations[best], scores[best], model.score(data.x_test[:5], data.y_test[:5])
        if mistake == "mixed":
            return configurations[best], scores[best], model.score(data.x_test, data.y_valid)
        test = model.score(data.x_test, data.y_test)
        if mistake == "swapped":
            return configurations[best], test, scores[best]
        if mistake == "two":
            return configurations[best], test
        if mistake == "mean":
            return configurations[best], float(np.mean(scores)), test
        if mistake == "index":
            return best, scores[best], test
        return configurations[best], scores[best], test

    return search


def trains_on_validation(fit, configurations, data):
    model = fit(configurations[0], data.x_valid, data.y_valid)
    return configurations[0], 0.5, model.score(data.x_test, data.y_test)


HONEST_SEARCH = {
    "right": [honest_search, honest_search_with_max, dishonest("")],
    "wrong": [
        (dishonest("test"), "You look at the test data 7 times"),
        (dishonest("train"), "You choose by the training score"),
        (dishonest("lowest"), "You choose the lowest validation score"),
        (dishonest("again"), "You train 7 times for 6 configurations"),
        (dishonest("last"), "not the test score of the chosen model"),
        (dishonest("no test"), "never looked at"),
        (dishonest("part"), "only a part of the test data"),
        (dishonest("mixed"), "mixed data"),
        (dishonest("swapped"), "The two scores are swapped"),
        (dishonest("mean"), "not the validation score of the chosen"),
        (dishonest("two"), "Expected three things"),
        (dishonest("index"), "Expected the chosen configuration in the first place"),
        (trains_on_validation, "You train on the validation data"),
        (lambda f, c, d: honest_search(f, c[:3], d), "Not every configuration is trained"),
    ],
}

ANSWERS = {
    "log_uniform": LOG_UNIFORM,
    "whole_numbers": WHOLE_NUMBERS,
    "coarse_to_fine": COARSE_TO_FINE,
    "successive_halving": SUCCESSIVE_HALVING,
    "honest_search": HONEST_SEARCH,
}
