"""The core as WebAssembly computes what Python computes, to the last bit: in node, in chromium."""

from __future__ import annotations

import numpy as np
import pytest
from serving_tools import small_model
from worker_code import Run, decoded, encoded, file_of, run_in_browser

from charloom.engines.base import StepSettings
from charloom.engines.native import NativeEngine


@pytest.fixture(params=["node", "chromium"])
def run(request: pytest.FixtureRequest) -> Run:
    if request.param == "node":
        return request.getfixturevalue("node")
    return run_in_browser(request.getfixturevalue("browser"))


@pytest.mark.parametrize(
    "settings",
    [{}, {"embedding_size": 7}, {"cell": "rnn"}, {"cell": "gru"}, {"hidden_size": 33}],
    ids=str,
)
def test_10_000_generated_characters_are_those_of_python(run: Run, tmp_path, settings):
    model = small_model(**settings)
    options = {"temperature": 0.9, "top_k": 20, "top_p": 0.97, "seed": 2**40 + 3}
    found = run(
        """const predictor = new Predictor(core, model);
        const request = { prompt: "the Fox", length: 10_000, layer: 0, ...given.options };
        return [...liveText(predictor, request)].map(({ character }) => character).join("");""",
        model=file_of(model, tmp_path),
        options=options,
    )
    assert found == "".join(model.generate("the Fox", length=10_000, **options))


@pytest.mark.parametrize(
    "settings", [{}, {"embedding_size": 7}, {"cell": "rnn"}, {"cell": "gru"}], ids=str
)
def test_200_steps_of_training_leave_the_weights_of_python(run: Run, tmp_path, settings):
    model = small_model(**settings)
    T, B = 13, 5
    ids = np.random.default_rng(1).integers(model.vocabulary.size, size=(200, 2, T, B), dtype="<i4")
    ids[:, 1, :3] = -1  # targets that are not counted
    step = {"learning_rate": 4e-3, "beta1": 0.5, "clip_norm": 1.0, "dropout": 0.2}
    found = run(
        """const network = core.network(model.settings, model.vocabulary.size);
        network.writeWeights(model.weights);
        const { T, B } = given;
        const ids = new Int32Array(bytesOf(given.ids).buffer);
        let state = network.zeroState(B);
        const nats = [];
        for (let n = 0; n < 200; n++) {
          const batch = (at) => ids.slice(at * T * B, (at + 1) * T * B);
          const [inputs, targets] = [batch(2 * n), batch(2 * n + 1)];
          const settings = { beta2: 0.999, epsilon: 1e-7, ...given.step, dropout_key: n };
          const done = network.trainStep(inputs, targets, B, state, settings, n + 1);
          nats.push([done.nats, done.gradientNorm]);
          state = done.state;
        }
        const weights = Object.entries(network.readWeights());
        return { nats, weights: weights.map(([name, values]) => [name, base64Of(values)]) };""",
        model=file_of(model, tmp_path),
        ids=encoded(ids),
        step=step,
        T=T,
        B=B,
    )
    engine = NativeEngine(model.settings, model.vocabulary.size, dict(model.weights))
    assert engine.kernels == "native baseline"
    state = engine.zero_state(B)
    for n in range(200):
        done = engine.train_step(ids[n, 0], ids[n, 1], state, StepSettings(**step, dropout_key=n))
        state = done.state
        assert found["nats"][n] == pytest.approx([done.nats, done.gradient_norm], rel=1e-14)
    for name, values in found["weights"]:
        np.testing.assert_array_equal(decoded(values), engine.weights()[name].ravel())
