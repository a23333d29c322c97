#!/usr/bin/env python3
"""Makes stats/testdata/golden.json: what scipy, statsmodels and a plain reading
of the papers say of random input, which the package stats must reproduce.
Nothing else needs Python. To make it again, in a virtual environment:

    pip install numpy==1.26.4 scipy==1.15.3 statsmodels==0.15.0
    scripts/stats-golden.py
"""

import decimal
import json
import math
import pathlib

import numpy
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def auc(positive, negative):
    """DeLong by its definition: every pair compared, intervals of the logit."""
    psi = (positive[:, None] > negative).astype(float) + 0.5 * (positive[:, None] == negative)
    area = psi.mean()
    variance = psi.mean(axis=1).var(ddof=1) / len(positive) + psi.mean(axis=0).var(ddof=1) / len(negative)
    half = stats.norm.ppf(0.975) * math.sqrt(variance) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    return [area, 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))]


def spearman_influences(x, y):
    """What each pair contributes to the rank correlation: the derivative by its
    weight, all weights adding up to 1, taken without rounding along the
    imaginary axis."""

    def below(v):
        return (v[:, None] < v[None, :]) + 0.5 * (v[:, None] == v[None, :])

    x_below, y_below, n = below(x), below(y), len(x)

    def rho(w):
        f, g = w @ x_below, w @ y_below
        cov = lambda p, q: w @ (p * q) - (w @ p) * (w @ q)
        return cov(f, g) / numpy.sqrt(cov(f, f) * cov(g, g))

    step = 1e-100
    derivatives = []
    for i in range(n):
        towards = numpy.full(n, -1 / n)
        towards[i] += 1
        derivatives.append(rho(1 / n + 1j * step * towards).imag / step)
    return numpy.array(derivatives)


def run_length(p, up, limit):
    """Steps of the Markov chain from 0 to the limit: plain elimination, to 200
    digits, since sixteen are not enough where an alarm is rare."""
    decimal.getcontext().prec = 200
    p = decimal.Decimal(p)
    rows = [[decimal.Decimal(0)] * limit + [decimal.Decimal(1)] for _ in range(limit)]
    for s, row in enumerate(rows):
        row[s] += 1
        row[max(0, s - 1)] -= 1 - p
        if s + up < limit:
            row[s + up] -= p
    for s in reversed(range(limit)):
        for other in rows[:s]:
            share = other[s] / rows[s][s]
            if share:
                other[:] = [a - share * b for a, b in zip(other, rows[s])]
    return float(rows[0][limit] / rows[0][0])


def more(golden, rng):
    """What was added later, drawn after the rest, which thereby stays."""
    golden.update({"selections": [], "tables": [], "binomials": [], "pairs": [], "ranks": [], "cusums": []})
    for _ in range(30):
        p = numpy.round(rng.random(int(rng.integers(1, 30))) ** 3, 3)
        m = len(p) + int(rng.choice([0, 1, 50, 47_000]))
        all_of_them = numpy.concatenate([p, numpy.ones(m - len(p))])
        adjusted = multipletests(all_of_them, method="fdr_bh")[1][: len(p)]
        golden["selections"].append({"m": m, "p": list(p), "adjusted": list(adjusted)})
    for _ in range(300):
        n1 = int(rng.choice([0, 1, 3, 10, 60, 3000]))
        n2 = int(rng.choice([0, 1, 10, 200, 2000, 100_000]))
        k1 = int(rng.choice([0, n1, rng.integers(0, n1 + 1), min(n1, 2)]))
        k2 = int(rng.choice([0, n2, rng.integers(0, n2 + 1), min(n2, 2)]))
        cells = [[k1, n1 - k1], [k2, n2 - k2]]
        golden["tables"].append({
            "k1": k1, "n1": n1, "k2": k2, "n2": n2,
            "greater": float(stats.fisher_exact(cells, "greater").pvalue),
            "two_sided": float(stats.fisher_exact(cells, "two-sided").pvalue),
        })
    for _ in range(200):
        n = int(rng.choice([1, 2, 10, 97, 1000, 47_250]))
        k = int(rng.choice([0, n, rng.integers(0, n + 1), min(n, 1), min(n, 3)]))
        p = float(rng.choice([0, 1, 0.5, 0.05, rng.random(), rng.random() ** 8]))
        golden["binomials"].append({
            "k": k, "n": n, "p": p,
            "greater": float(stats.binomtest(k, n, p, "greater").pvalue),
            "two_sided": float(stats.binomtest(k, n, p, "two-sided").pvalue),
        })
    for _ in range(50):
        first, second = (int(v) for v in rng.integers(0, 12, 2))
        p = mcnemar([[3, first], [second, 5]], exact=True).pvalue if first + second else 1
        golden["pairs"].append({"first": first, "second": second, "p": float(p)})
    while len(golden["ranks"]) < 60:
        n = int(rng.integers(4, 40))
        y = rng.normal(0, 1, n)
        a, b = y * rng.normal() + rng.normal(0, 1, n), y * rng.normal() + rng.normal(0, 1, n)
        if rng.random() < 0.6:  # with ties, one of them rare
            a, b, y = numpy.round(a), numpy.round(b), (y > 0.8).astype(float)
        if min(len(set(a)), len(set(b)), len(set(y))) < 2:
            continue
        rho_a, rho_b = (float(stats.spearmanr(v, y).statistic) for v in (a, b))
        if max(abs(rho_a), abs(rho_b)) > 0.999:
            continue
        of_a, of_b = spearman_influences(a, y), spearman_influences(b, y)
        z = stats.norm.ppf(0.975)
        half = z * numpy.sqrt((of_a**2).sum()) / n / (1 - rho_a**2)
        wide = z * numpy.sqrt(((of_a - of_b) ** 2).sum()) / n
        golden["ranks"].append({
            "a": list(a), "b": list(b), "y": list(y),
            "rho": [rho_a, float(numpy.tanh(numpy.arctanh(rho_a) - half)), float(numpy.tanh(numpy.arctanh(rho_a) + half))],
            "difference": [rho_a - rho_b, max(-2.0, rho_a - rho_b - wide), min(2.0, rho_a - rho_b + wide)],
        })
    for _ in range(60):
        p = float(rng.choice([0.02, 0.05, 0.3, 0.9, rng.random()]))
        up, limit = int(rng.choice([1, 2, 5, 9, 40])), int(rng.choice([1, 2, 7, 20, 60]))
        arl = run_length(p, up, limit)
        if arl < 1e300:
            golden["cusums"].append({"p": p, "up": up, "limit": limit, "plays": arl})


def main():
    rng = numpy.random.default_rng(417)
    golden = {"proportions": [], "rates": [], "student": [], "samples": [], "discoveries": []}
    for _ in range(200):
        n = int(rng.choice([1, 2, 10, 97, 1000, 1_000_000]))
        k = int(rng.choice([0, n, rng.integers(0, n + 1), min(n, 1)]))
        level = float(rng.choice([0.9, 0.95, 0.99]))
        wilson = proportion_confint(k, n, 0.05, "wilson")
        exact = proportion_confint(k, n, 1 - level, "beta")
        golden["proportions"].append({"k": k, "n": n, "level": level, "wilson": wilson, "exact": exact})
    for _ in range(100):
        k = int(rng.choice([0, 1, 2, rng.integers(0, 50), rng.integers(50, 100_000)]))
        hours = float(rng.choice([0.1, 1, 43.6 / 60, 91, 5000]))
        lower = stats.chi2.ppf(0.025, 2 * k) / 2 / hours if k else 0.0
        upper = stats.chi2.ppf(0.975, 2 * k + 2) / 2 / hours
        golden["rates"].append({"k": k, "exposure": hours, "interval": [lower, upper]})
    for _ in range(300):
        t = float(rng.choice([0, rng.normal(), rng.normal() * 10, rng.normal() * 1e-6]))
        degrees = float(rng.choice([1, 2, rng.uniform(1, 40), rng.uniform(40, 5000), 2e6]))
        golden["student"].append({"t": t, "degrees": degrees, "p": float(2 * stats.t.sf(abs(t), degrees))})
    while len(golden["samples"]) < 100:
        x = rng.normal(rng.uniform(0, 2), 1, int(rng.integers(3, 40)))
        y = rng.normal(0, 1, int(rng.integers(3, 40)))
        if rng.random() < 0.5:  # with ties
            x, y = numpy.round(x), numpy.round(y)
        if x.min() > y.max() or y.min() > x.max():
            continue  # the interval of perfect separation is the package's own
        p = stats.mannwhitneyu(x, y, alternative="two-sided", method="asymptotic").pvalue
        golden["samples"].append({"x": list(x), "y": list(y), "p": float(p), "auc": auc(x, y)})
    for _ in range(30):
        p = numpy.round(rng.random(int(rng.integers(1, 30))) ** 3, 3)
        golden["discoveries"].append({"p": list(p), "adjusted": list(multipletests(p, method="fdr_bh")[1])})
    more(golden, rng)
    target = pathlib.Path(__file__).parent.parent / "stats/testdata/golden.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]"
        for name, cases in golden.items()
    )
    target.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
