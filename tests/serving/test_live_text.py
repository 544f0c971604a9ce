"""A model generates and shows its gates: the text is `generate`'s, the gates are the trace's."""

from __future__ import annotations

import base64
from threading import Lock

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from serving_tools import small_model

from charloom.serving.live_text import write
from charloom.settings import SamplingSettings


@pytest.mark.parametrize("prompt", ["", "the Fo"])
def test_characters_surprisal_and_gates_are_those_of_generate_score_and_trace(prompt):
    model, sampling = small_model(), SamplingSettings(seed=3)
    lines = list(write(model, prompt, length=20, sampling=sampling, layer=1, lock=Lock()))
    text = "".join(line["character"] for line in lines)
    assert text == "".join(model.generate(prompt, length=20, **sampling.model_dump()))

    second = write(model, prompt, length=20, sampling=sampling, layer=1, lock=Lock(), stream=1)
    many = model.generate_many(prompt, count=2, length=20, **sampling.model_dump())
    assert ["".join(line["character"] for line in one) for one in (lines, second)] == many

    read = (prompt or "\n") + text
    nats = [part.nats for part in model.score(read)][-20:]
    np.testing.assert_allclose([line["nats"] for line in lines], nats, atol=1e-5)
    trace = model.trace(read)
    for line, t in zip(lines, range(len(read) - 20, len(read)), strict=True):
        gates = np.frombuffer(base64.b64decode(line["gates"]), np.uint8).reshape(3, -1)
        exact = np.stack([trace.f_t[t, 1], trace.i_t[t, 1], trace.o_t[t, 1]])
        assert_array_equal(gates, np.rint(exact * 255))
