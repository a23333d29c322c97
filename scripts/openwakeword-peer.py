#!/usr/bin/env python3
"""Hears plays with the Python package openWakeWord, for BenchmarkBesidePython to
be measured beside. Prints as JSON how many seconds that took, without loading
and reading, and the best score of each play.

    scripts/openwakeword-peer.py MODELS NAME PLAY...

MODELS is the folder of the models, NAME the wake word's, and a PLAY a file of
raw 16 kHz mono samples, 16 bit. The package runs its models on one thread, as
it does by default. What the model remembers of the silence before a play is
computed once and put back for each, as the engine does; to hear it each time
would take twice as long.
"""

import copy
import json
import sys
import time

import numpy
from openwakeword.model import Model

FRAME = 1280
LEAD_IN = 60  # frames of silence, more than any model remembers

STATE = ["raw_data_buffer", "melspectrogram_buffer", "feature_buffer", "accumulated_samples", "raw_data_remainder"]


def main():
    models, name, *paths = sys.argv[1:]
    model = Model(
        wakeword_models=[f"{models}/{name}.onnx"],
        inference_framework="onnx",
        melspec_model_path=f"{models}/melspectrogram.onnx",
        embedding_model_path=f"{models}/embedding_model.onnx",
    )
    for _ in range(LEAD_IN):
        model.predict(numpy.zeros(FRAME, dtype=numpy.int16))
    features = model.preprocessor
    # Of the samples it looks at the last few only, but copies all of them.
    while len(features.raw_data_buffer) > FRAME:
        features.raw_data_buffer.popleft()
    rested = {key: getattr(features, key) for key in STATE}

    plays = [numpy.fromfile(path, dtype="<i2") for path in paths]
    best = []
    start = time.perf_counter()
    for samples in plays:
        for key, value in rested.items():
            setattr(features, key, copy.copy(value))
        frames = range(0, len(samples), FRAME)
        best.append(max(float(model.predict(samples[i : i + FRAME])[name]) for i in frames))
    print(json.dumps({"seconds": time.perf_counter() - start, "best": best}))


if __name__ == "__main__":
    main()
