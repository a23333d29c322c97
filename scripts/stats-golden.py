#!/usr/bin/env python3
"""Makes stats/testdata/golden.json: what scipy, statsmodels and a plain reading
of the papers say of random input, which the package stats must reproduce.
Nothing else needs Python. To make it again, in a virtual environment:

    pip install numpy==1.26.4 scipy==1.15.3 statsmodels==0.15.0
    scripts/stats-golden.py
"""

import json
import math
import pathlib

import numpy
from scipy import stats
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
    target = pathlib.Path(__file__).parent.parent / "stats/testdata/golden.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]"
        for name, cases in golden.items()
    )
    target.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
