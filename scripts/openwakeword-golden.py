#!/usr/bin/env python3
"""Makes oracle/engine/openwakeword/testdata: clips, and the scores that the
Python package openWakeWord itself gives for them, which the driver must
reproduce. Nothing else needs Python. To make them again, in a virtual
environment with flite installed and after `make setup`:

    pip install --no-deps openwakeword==0.6.0
    pip install onnxruntime==1.32.0 onnx==1.23.2 'numpy<2' scipy scikit-learn requests tqdm
    scripts/openwakeword-golden.py

The sound that the engine hears of a play (start phase, noise, saturation) is
computed here a second time, from its definition, so that the scores also hold
that in place.
"""

import json
import os
import pathlib
import subprocess
import sys
import wave

import numpy
import onnx
from openwakeword.model import Model

FRAME = 1280
LEAD_IN = 60  # frames of silence, more than any model remembers
WINDOW = 16000  # samples after the clip

CLIPS = {
    "alexa-kal16": "alexa",
    "alexa-awb": "alexa",
    "alexa-rms": "alexa",
    "alexa-slt": "alexa",
    "lexus-slt": "lexus",
    "next-kal16": "next",
    "vexed-kal16": "vexed",
    "weather-kal16": "what's the weather",
}

CASES = [  # model, clip, seed, level of the noise
    ("alexa_v0.1", "alexa-kal16", 1, None),
    ("alexa_v0.1", "alexa-kal16", 2, -60),
    ("alexa_v0.1", "alexa-awb", 3, -30),
    ("alexa_v0.1", "lexus-slt", 4, -40),
    ("alexa_v0.1", "next-kal16", 5, -60),
    ("alexa_v0.1", "vexed-kal16", 18446744073709551615, -60),
    ("weather_v0.1", "weather-kal16", 7, -60),
]


class PCG:
    """The 128-bit PCG-DXSM generator of Go's math/rand/v2."""

    def __init__(self, high, low):
        self.state = high << 64 | low

    def next(self):
        multiplier = 2549297995355413924 << 64 | 4865540595714422341
        increment = 6364136223846793005 << 64 | 1442695040888963407
        self.state = (self.state * multiplier + increment) % 2**128
        high, low = self.state >> 64, self.state % 2**64
        high ^= high >> 32
        high = high * 0xDA942042E4DD58B5 % 2**64
        high ^= high >> 48
        return high * (low | 1) % 2**64


def heard(clip, seed, dbfs):
    """The samples of a play, from its origin, and its start phase."""
    pcg = PCG(seed, int.from_bytes(b"wakefuzz", "big"))
    phase = pcg.next() % FRAME
    deviation = 0 if dbfs is None else round(10 ** (dbfs / 20) * 32768 * 2**16)
    out = [0] * phase
    for i in range(len(clip) + WINDOW):
        sample = int(clip[i]) if i < len(clip) else 0
        if deviation:
            total = 0
            for _ in range(3):
                bits = pcg.next()
                total += sum(bits >> shift & 0xFFFF for shift in (0, 16, 32, 48))
            sample += ((total - 6 * 65535) * deviation + 2**31) >> 32
        out.append(min(max(sample, -32768), 32767))
    return numpy.array(out, dtype=numpy.int16), phase


def scores(models, name, samples):
    model = Model(
        wakeword_models=[str(models / f"{name}.onnx")],
        inference_framework="onnx",
        melspec_model_path=str(models / "melspectrogram.onnx"),
        embedding_model_path=str(models / "embedding_model.onnx"),
    )
    for _ in range(LEAD_IN):
        model.predict(numpy.zeros(FRAME, dtype=numpy.int16))
    frames = len(samples) // FRAME
    return [float(model.predict(samples[i * FRAME : (i + 1) * FRAME])[name]) for i in range(frames)]


def nan_model():
    """A model in the shape of a wake word's, whose score is not a number."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["in", "in"], ["zeros"]),
            helper.make_node("Div", ["zeros", "zeros"], ["nans"]),
            helper.make_node("ReduceMean", ["nans"], ["out"], axes=[2], keepdims=0),
        ],
        "not-a-number",
        [helper.make_tensor_value_info("in", floats, [1, 1, 96])],
        [helper.make_tensor_value_info("out", floats, [1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    return model.SerializeToString()


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    testdata = here / "oracle/engine/openwakeword/testdata"
    testdata.mkdir(exist_ok=True)
    share = os.environ.get("XDG_DATA_HOME", os.path.expanduser("~/.local/share"))
    models = pathlib.Path(os.environ.get("WAKEFUZZ_DATA", f"{share}/wakefuzz")) / "models"

    (testdata / "not-a-number.onnx").write_bytes(nan_model())
    clips = {}
    for name, text in CLIPS.items():
        path = testdata / f"{name}.wav"
        subprocess.run(["flite", "-voice", name.split("-")[1], "-t", text, "-o", path], check=True)
        with wave.open(str(path)) as sound:
            if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (16000, 1, 2):
                sys.exit(f"{path}: not 16 kHz mono")
            clips[name] = numpy.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")

    golden = []
    for model, clip, seed, dbfs in CASES:
        samples, phase = heard(clips[clip], seed, dbfs)
        golden.append(
            {
                "model": model,
                "clip": clip,
                "seed": seed,
                "noise_dbfs": dbfs,
                "phase": phase,
                "scores": scores(models, model, samples),
            }
        )
        print(clip, max(golden[-1]["scores"]))
    (testdata / "golden.json").write_text(json.dumps(golden, indent="\t") + "\n")


if __name__ == "__main__":
    main()
