#!/usr/bin/env python3
"""Makes forest/testdata/forest.json: rows, and what scikit-learn's trees and
forests say of others after training on them, which package forest must
reproduce. Nothing else needs Python. To make it again, in a virtual environment:

    pip install scikit-learn==1.5.2 numpy==1.26.4 scipy==1.15.3
    scripts/forest-golden.py

Features are whole numbers, since scikit-learn works on float32. A tree is kept
only where scikit-learn grows the same one whichever feature it looks at first:
where two splits are equally good, there is no one right tree. Forests are
compared by what so many trees say on average that little chance is left.
"""

import json
import pathlib

import numpy
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

TREES = 2000


def ints(array):
    return numpy.asarray(array).astype(int).tolist()


def tree_case(rng):
    """A tree that is the only one, or None."""
    features = int(rng.integers(1, 4))
    rows = rng.integers(0, int(rng.choice([6, 64, 1000])), (int(rng.integers(5, 80)), features))
    score = rows @ rng.normal(0, 1, features) + rng.normal(0, 3, len(rows))
    positive = score > numpy.median(score)
    if rng.random() < 0.5:  # no noise
        positive = (rows[:, 0] > numpy.median(rows[:, 0])) ^ (rows[:, -1] > 0.8 * rows[:, -1].max())
    if positive.all() or not positive.any():
        return None
    trees = [DecisionTreeClassifier(random_state=i).fit(rows, positive) for i in range(30)]
    first = trees[0].tree_
    # Rows to ask about lie on and beside every threshold.
    at = [numpy.unique(numpy.r_[rows[:, f], first.threshold[first.feature == f]]) for f in range(features)]
    asked = numpy.stack([rng.choice(numpy.r_[v - 0.5, v, v + 0.5], 60) for v in at], axis=1)
    for tree in trees[1:]:
        if not (numpy.array_equal(tree.tree_.feature, first.feature) and numpy.array_equal(tree.tree_.threshold, first.threshold)):
            return None
    return {
        "rows": ints(rows), "positive": ints(positive), "asked": asked.tolist(),
        "probability": trees[0].predict_proba(asked)[:, 1].tolist(), "leaves": int(first.n_leaves),
    }


def normal(rng, n):
    positive = rng.random(n) < 0.5
    rows = rng.normal(0, 20, (n, 6))
    rows[:, :3] += 16 * positive[:, None]
    return rows, positive


def rare(rng, n):
    positive = rng.random(n) < 0.08
    rows = rng.normal(0, 20, (n, 9))
    rows[:, :2] += 30 * positive[:, None]
    return rows, positive


def idle(rng, n):
    """Most rows are nearly nothing, as windows without traffic are."""
    positive = rng.random(n) < 0.3
    rows = rng.poisson(3, (n, 12)) * (rng.random((n, 1)) < numpy.where(positive, 0.9, 0.4)[:, None])
    rows[:, :3] += (rng.poisson(2, (n, 3)) * positive[:, None])
    rows[:, 11] = 7
    return rows, positive


def both(rng, n):
    """Two features that say nothing alone."""
    rows = rng.integers(0, 40, (n, 5))
    return rows, (rows[:, 0] > 20) ^ (rows[:, 1] > 20) ^ (rng.random(n) < 0.1)


def forest_case(rng, make):
    rows, positive = make(rng, 200)
    asked, truth = make(rng, 150)
    rows, asked = numpy.rint(rows), numpy.rint(asked)
    forest = RandomForestClassifier(TREES, random_state=int(rng.integers(1 << 30)), n_jobs=2).fit(rows, positive)
    p = forest.predict_proba(asked)[:, 1]
    return {
        "name": make.__name__, "rows": ints(rows), "positive": ints(positive), "asked": ints(asked), "truth": ints(truth),
        "probability": [round(v, 6) for v in p], "trees": TREES,
        "accuracy": accuracy_score(truth, p >= 0.5), "auc": roc_auc_score(truth, p),
    }


def main():
    rng = numpy.random.default_rng(541)
    trees = []
    while len(trees) < 60:
        case = tree_case(rng)
        # Trees of two leaves are easy to come by.
        if case and case["leaves"] > (2 if len(trees) % 3 else 5):
            trees.append(case)
    forests = [forest_case(rng, make) for make in (normal, rare, idle, both)]
    target = pathlib.Path(__file__).parent.parent / "forest/testdata/forest.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) for cases in (trees, forests)]
    target.write_text('{"trees": [\n%s\n],\n"forests": [\n%s\n]}\n' % tuple(lines))


if __name__ == "__main__":
    main()
