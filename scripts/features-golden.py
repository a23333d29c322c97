#!/usr/bin/env python3
"""Makes learned/testdata/features.json: sequences of packet lengths, and the
features that tsfresh has for them, which package learned must reproduce. Nothing
else needs Python. To make it again, in a virtual environment:

    pip install tsfresh==0.21.1 numpy==1.26.4 pandas==2.2.3 scipy==1.15.3
    scripts/features-golden.py

Where tsfresh has no number, or fails for want of values, it is null here.
"""

import json
import math
import pathlib
import warnings

import numpy
from tsfresh.feature_extraction import feature_calculators

FEATURES = {
    **{name: {} for name in """length sum_values mean median minimum maximum standard_deviation root_mean_square skewness kurtosis
        ratio_value_number_to_time_series_length absolute_sum_of_changes mean_abs_change count_above_mean count_below_mean
        longest_strike_above_mean longest_strike_below_mean first_location_of_maximum last_location_of_maximum""".split()},
    **{f"quantile__q_{q}": {"q": q} for q in (0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)},
    **{f"number_peaks__n_{n}": {"n": n} for n in (1, 3)},
    **{f"autocorrelation__lag_{lag}": {"lag": lag} for lag in (1, 2, 3)},
    "linear_trend__attr_slope": {"attr": "slope"},
}


def value(x, name, parameters):
    calculator = getattr(feature_calculators, name.split("__")[0])
    try:
        if name.startswith("linear_trend"):
            result = dict(calculator(x, [parameters]))['attr_"slope"']
        else:
            result = calculator(x, **parameters)
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return float(result) if math.isfinite(result) else None


def sequence(rng, count, kind):
    return {
        "speaker": lambda: rng.choice([66, 66, 66, 97, 118, 254, 1514], count),
        "even": lambda: rng.integers(60, 1515, count),
        "upload": lambda: numpy.where(rng.random(count) < 0.7, 1514, rng.integers(60, 1400, count)),
        "same": lambda: numpy.full(count, 97),
        "rising": lambda: 60 + 7 * numpy.arange(count) + rng.integers(0, 30, count),
    }[kind]()


def main():
    warnings.simplefilter("ignore")
    rng = numpy.random.default_rng(541)
    kinds = ["speaker", "even", "upload", "same", "rising"]
    cases = []
    for count in [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 33, 100]:
        for kind in kinds:
            x = sequence(rng, count, kind).astype(float)
            cases.append({"lengths": x.astype(int).tolist(), "features": [value(x, n, p) for n, p in FEATURES.items()]})
    target = pathlib.Path(__file__).parent.parent / "learned/testdata/features.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    names = json.dumps(list(FEATURES), separators=(",", ":"))
    target.write_text(f'{{"names": {names},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
