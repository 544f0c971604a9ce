"""The native core against the reference: every instruction set, precision and odd size."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from charloom.engines.base import State, StepSettings
from charloom.engines.cell import CELLS
from charloom.engines.int8 import rounded
from charloom.engines.native import NativeEngine, available_kernels
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights, weight_shapes
from charloom.errors import SettingsError
from charloom.settings import ModelSettings, SamplingSettings

#        cell    H   L  E  V   T   B   dropout
SHAPES = [
    ("lstm", 75, 1, 0, 27, 15, 32, 0.0),  # the blog's
    ("lstm", 37, 2, 0, 65, 9, 7, 0.3),
    ("lstm", 16, 3, 7, 30, 5, 13, 0.1),
    ("lstm", 1, 1, 0, 2, 1, 1, 0.0),
    ("lstm", 65, 2, 0, 130, 7, 1, 0.0),
    ("lstm", 400, 2, 0, 9, 2, 1, 0.1),  # threads share one stream
    ("lstm", 32, 2, 0, 50, 5, 71, 0.2),  # more streams than a tile has rows
    ("gru", 75, 1, 0, 27, 15, 32, 0.0),
    ("gru", 37, 2, 0, 65, 9, 7, 0.3),
    ("gru", 16, 3, 7, 30, 5, 13, 0.1),
    ("gru", 1, 1, 0, 2, 1, 1, 0.0),
    ("gru", 250, 2, 0, 9, 2, 1, 0.1),  # threads share one stream
    ("rnn", 20, 2, 5, 11, 6, 5, 0.2),
    ("rnn", 1, 1, 3, 2, 1, 1, 0.0),
]

# Products are rounded once per value: 2^-24 in float32, 2^-9 in bfloat16. A gate sums K of
# them, errors add like a random walk, and a step passes its error on with a factor near 1:
# sqrt(K T) = sqrt(75 * 15) = 34 roundings; both bounds leave a factor of 2 on that.
TOLERANCE = {"float32": 64 * 2.0**-24, "bfloat16": 64 * 2.0**-9 / 2}


class Case:
    """One shape with unequal random weights, a nonzero state, and gaps in the targets."""

    def __init__(self, shape: tuple, seed: int = 0) -> None:
        cell, H, L, E, V, T, B, self.dropout = shape
        rng = np.random.default_rng(seed)
        self.settings = ModelSettings(cell=cell, hidden_size=H, num_layers=L, embedding_size=E)
        self.vocabulary_size = V
        self.weights = {
            name: rng.normal(0, 0.2, size).astype(np.float32)
            for name, size in weight_shapes(self.settings, V).items()
        }
        self.inputs = rng.integers(0, V, (T, B)).astype(np.int32)
        self.targets = rng.integers(0, V, (T, B)).astype(np.int32)
        self.targets[rng.random((T, B)) < 0.2] = -1
        self.targets[-1, 0] = 0
        self.state = State(
            hidden=rng.normal(0, 0.5, (L, B, H)).astype(np.float32),
            cell=rng.normal(0, 0.5, (L, B, H)).astype(np.float32) * CELLS[cell].has_cell_state,
        )
        self.step = StepSettings(
            learning_rate=1e-3, clip_norm=0.5, dropout=self.dropout, dropout_key=12345
        )

    def reference(self) -> ReferenceEngine:
        return ReferenceEngine(self.settings, self.vocabulary_size, self.weights, dtype=np.float64)

    def native(self, **options) -> NativeEngine:
        return NativeEngine(self.settings, self.vocabulary_size, self.weights, **options)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_kernel_agrees_with_the_reference(shape, kernels, precision):
    case = Case(shape)
    reference, native = case.reference(), case.native(kernels=kernels, precision=precision)
    tolerance = TOLERANCE[precision]

    def close(mine, theirs):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance)

    logits, after = native.logits(case.inputs, case.state)
    expected_logits, expected_after = reference.logits(case.inputs, case.state)
    close(logits, expected_logits)
    close(after.hidden, expected_after.hidden)
    close(after.cell, expected_after.cell)

    surprise = native.surprisal(case.inputs, case.targets, case.state)
    close(surprise.nats, reference.surprisal(case.inputs, case.targets, case.state).nats)

    step = native.train_step(case.inputs, case.targets, case.state, case.step)
    expected = reference.train_step(case.inputs, case.targets, case.state, case.step)
    assert step.characters == expected.characters
    close(step.nats / step.characters, expected.nats / expected.characters)
    close(step.gradient_norm / expected.gradient_norm, 1)
    close(step.state.hidden, expected.state.hidden)
    # After one step Adam's mean is a tenth of the clipped gradient: every gradient is seen.
    mean = native.optimizer_state().mean
    for name, slope in reference.optimizer_state().mean.items():
        close(mean[name] / np.abs(slope).max(), slope / np.abs(slope).max())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gate_that_is_almost_open_still_has_its_slope(precision):
    """1 - f = 0.001 is a fourth of a step of bfloat16 at 1, but 16 steps of the tape."""
    case = Case(("lstm", 32, 1, 0, 9, 5, 8, 0.0))
    for name in ("lstm.weight_ih_l0", "lstm.weight_hh_l0"):
        case.weights[name] *= 0.1
    case.weights["lstm.bias_l0"][32:64] = 6.9
    slopes = []
    for engine in (case.native(precision=precision), case.reference()):
        engine.train_step(case.inputs, case.targets, case.state, case.step)
        slopes.append(engine.optimizer_state().mean["lstm.bias_l0"][32:64])
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=0, atol=0.04 * np.abs(slopes[1]).max())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernels", available_kernels())
def test_sigmoid_and_tanh_are_as_good_as_activations_h_says(kernels, precision):
    """From no state, the sums of the first step are a row of the table: H of them a stream."""
    H, V = 64, 126
    sums = np.concatenate([np.linspace(-100, 100, 4001), np.linspace(-2, 2, 4001)])
    sums = np.append(sums, [-np.inf, np.inf, -3e38, 3e38, -1e-40, 88.8]).astype(np.float32)
    sums = np.resize(sums, (V, H))
    settings = ModelSettings(hidden_size=H, num_layers=1)
    weights = {
        name: np.zeros(size, np.float32) for name, size in weight_shapes(settings, V).items()
    }
    weights["lstm.weight_ih_l0"] = np.tile(sums.T, (4, 1))
    engine = NativeEngine(settings, V, weights, kernels=kernels, precision=precision)
    trace = engine.trace(np.arange(V, dtype=np.int32)[None], State.zeros(settings, V))

    # 1 / (1 + e) with an e that is off by 3.4e-6 of itself is off by no more than a fourth of
    # that; tanh, twice as much. The rest is rounding.
    off = 3.4e-6 if precision == "bfloat16" else 2.0**-22
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-sums.astype(np.float64)))
    for name in ("i_t", "f_t", "o_t"):
        gate = trace.quantities[name]
        np.testing.assert_allclose(gate[0, 0], sigmoid, rtol=0, atol=off / 4 + 2.0**-23)
        assert gate.min() >= 0 and gate.max() <= 1
    tanh = np.tanh(sums.astype(np.float64))
    g_t = trace.quantities["g_t"]
    np.testing.assert_allclose(g_t[0, 0], tanh, rtol=0, atol=off / 2 + 2.0**-23)
    assert np.abs(g_t).max() <= 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ranks_are_those_of_the_reference(shape):
    case = Case(shape)
    mine = case.native(precision="float32").surprisal(case.inputs, case.targets, case.state)
    theirs = case.reference().surprisal(case.inputs, case.targets, case.state)
    np.testing.assert_array_equal(mine.ranks, theirs.ranks)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [*SHAPES, ("lstm", 40, 2, 0, 50, 12, 29, 0.2)], ids=str)
def test_the_number_of_threads_changes_no_bit(shape, precision):
    def run(threads: int):
        case = Case(shape)
        engine = case.native(precision=precision, threads=threads)
        steps = [
            engine.train_step(case.inputs, case.targets, case.state, case.step) for _ in range(3)
        ]
        drawn, _ = engine.generate(
            case.inputs[-1], steps[-1].state, 5, SamplingSettings(),
            np.arange(case.inputs.shape[1], dtype=np.uint64), 0,
        )  # fmt: skip
        return [s.nats for s in steps], engine.weights(), steps[-1].state, drawn

    nats, weights, state, drawn = run(1)
    for threads in (2, 3, 5):
        other = run(threads)
        assert other[0] == nats
        for name, values in weights.items():
            np.testing.assert_array_equal(values, other[1][name], err_msg=name)
        np.testing.assert_array_equal(state.hidden, other[2].hidden)
        np.testing.assert_array_equal(state.cell, other[2].cell)
        np.testing.assert_array_equal(drawn, other[3])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_halves_with_the_state_carried_equal_the_whole(precision):
    case = Case(("lstm", 40, 2, 0, 50, 12, 9, 0.0))
    engine = case.native(precision=precision)
    whole, end = engine.logits(case.inputs, case.state)
    first, middle = engine.logits(case.inputs[:5], case.state)
    second, last = engine.logits(case.inputs[5:], middle)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(end.hidden, last.hidden)
    np.testing.assert_array_equal(end.cell, last.cell)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_and_memory_survive_a_round_trip_bit_for_bit(precision):
    case = Case(("lstm", 19, 2, 3, 12, 4, 6, 0.1))
    one = case.native(precision=precision)
    other = case.native(precision=precision)
    for _ in range(2):
        one.train_step(case.inputs, case.targets, case.state, case.step)
    other.load(one.weights(), one.optimizer_state())
    for engine in (one, other):
        engine.train_step(case.inputs, case.targets, case.state, case.step)
    for name, values in one.weights().items():
        np.testing.assert_array_equal(values, other.weights()[name], err_msg=name)


# An infinite gate saturates, which is finite; an infinite logit does not.
NOT_FINITE = [
    *((name, np.nan) for name in ("lstm.weight_hh_l0", "lstm.bias_l0", "head.weight")),
    *(("head.weight", sign * np.inf) for sign in (1, -1)),
]


@pytest.mark.parametrize(("name", "bad"), NOT_FINITE)
@pytest.mark.parametrize("kernels", available_kernels())
def test_a_weight_that_is_not_finite_is_noticed_and_updates_nothing(name, bad, kernels):
    case = Case(("lstm", 20, 1, 0, 10, 3, 4, 0.0))
    case.weights[name].flat[3] = bad
    engine = case.native(kernels=kernels)
    step = engine.train_step(case.inputs, case.targets, case.state, case.step)
    assert not (np.isfinite(step.nats) and np.isfinite(step.gradient_norm))
    for tensor, values in engine.weights().items():
        np.testing.assert_array_equal(values, case.weights[tensor])
    assert engine.optimizer_state().steps == 0


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-42])
def test_huge_and_denormal_weights_give_finite_results(kernels, size):
    case = Case(("lstm", 20, 2, 0, 10, 3, 4, 0.0))
    for name, values in case.weights.items():
        if name.startswith("lstm"):
            values *= np.float32(size)
    engine = case.native(kernels=kernels, precision="float32")
    logits, state = engine.logits(case.inputs, case.state)
    expected, _ = case.reference().logits(case.inputs, case.state)
    assert np.isfinite(logits).all()
    assert np.isfinite(state.cell).all()
    if size < 1:
        np.testing.assert_allclose(logits, expected, atol=TOLERANCE["float32"])


def test_the_same_characters_are_drawn_by_both_cores():
    case = Case(("lstm", 40, 2, 0, 50, 12, 9, 0.0))
    native, reference = case.native(precision="float32"), case.reference()
    seeds = np.arange(9, dtype=np.uint64) + 7
    for sampling in (
        SamplingSettings(),
        SamplingSettings(temperature=0),
        SamplingSettings(temperature=0.5, top_k=5),
        SamplingSettings(temperature=1.5, top_p=0.8),
    ):
        options = (case.inputs[-1], case.state, 20, sampling, seeds, 0, (3, 4))
        drawn, _ = native.generate(*options)
        expected, _ = reference.generate(*options)
        np.testing.assert_array_equal(drawn, expected)
        assert not np.isin(drawn, (3, 4)).any()


def test_drawing_in_two_parts_equals_drawing_at_once():
    case = Case(("lstm", 40, 2, 0, 50, 12, 9, 0.0))
    engine, sampling = case.native(), SamplingSettings()
    seeds = np.arange(9, dtype=np.uint64)
    whole, _ = engine.generate(case.inputs[-1], case.state, 20, sampling, seeds, 0)
    first, state = engine.generate(case.inputs[-1], case.state, 8, sampling, seeds, 0)
    rest, _ = engine.generate(first[-1], state, 12, sampling, seeds, 8)
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("shape", [*SHAPES, ("lstm", 512, 1, 0, 9, 2, 1, 0.0)], ids=str)
def test_int8_writes_what_float32_writes_with_rounded_weights(shape, kernels):
    """Products of bytes round h to 1 / 32767, and nothing else."""
    case = Case(shape)
    case.state.hidden.clip(-1, 1, out=case.state.hidden)  # as o tanh C is
    B = case.inputs.shape[1]
    options = (
        case.inputs[-1], case.state, 6, SamplingSettings(temperature=0),
        np.arange(B, dtype=np.uint64), 0,
    )  # fmt: skip
    states = []
    for threads in (1, 3):
        engine = case.native(kernels=kernels, precision="int8", threads=threads)
        ids, state = engine.generate(*options)
        states.append(state)
    np.testing.assert_array_equal(states[0].hidden, states[1].hidden)
    np.testing.assert_array_equal(states[0].cell, states[1].cell)
    case.weights = rounded(case.weights)
    expected_ids, expected = case.native(kernels=kernels, precision="float32").generate(*options)
    np.testing.assert_array_equal(ids, expected_ids)
    # A gate sums 2 H weights of 0.2, each times an error of at most 2^-16, like a random walk.
    tolerance = 6 * 0.2 * np.sqrt(2 * case.settings.hidden_size) * 2.0**-16 + 2.0**-20
    np.testing.assert_allclose(states[0].hidden, expected.hidden, rtol=0, atol=tolerance)
    np.testing.assert_allclose(states[0].cell, expected.cell, rtol=0, atol=2 * tolerance)


def test_int8_computes_everything_else_in_float32_with_rounded_weights():
    case = Case(SHAPES[1])
    engine = case.native(precision="int8")
    assert engine.precision == "int8"
    case.weights = rounded(case.weights)
    for name, weight in engine.weights().items():
        np.testing.assert_array_equal(weight, case.weights[name], err_msg=name)
    logits, _ = engine.logits(case.inputs, case.state)
    expected, _ = case.native(precision="float32").logits(case.inputs, case.state)
    np.testing.assert_array_equal(logits, expected)


def test_int8_follows_weights_that_are_loaded_later():
    case, other = Case(SHAPES[1]), Case(SHAPES[1], seed=1)
    engine = case.native(precision="int8")
    options = (
        case.inputs[-1],
        case.state,
        20,
        SamplingSettings(),
        np.arange(7, dtype=np.uint64),
        0,
    )
    engine.generate(*options)
    engine.load(other.weights)
    again, _ = engine.generate(*options)
    fresh, _ = other.native(precision="int8").generate(*options)
    np.testing.assert_array_equal(again, fresh)


def test_int8_does_not_train():
    case = Case(SHAPES[3])
    with pytest.raises(SettingsError, match="training needs float32 or bfloat16"):
        case.native(precision="int8").train_step(case.inputs, case.targets, case.state, case.step)


def test_a_precision_that_does_not_exist_is_refused():
    with pytest.raises(SettingsError, match="int4 was given, but the native engine has no int4"):
        Case(SHAPES[3]).native(precision="int4")


def test_a_stream_does_not_depend_on_its_neighbours():
    case = Case(("lstm", 40, 2, 0, 50, 12, 9, 0.0))
    engine = case.native()
    together, _ = engine.logits(case.inputs, case.state)
    alone, _ = engine.logits(
        case.inputs[:, 4:5],
        State(hidden=case.state.hidden[:, 4:5], cell=case.state.cell[:, 4:5]),
    )
    np.testing.assert_array_equal(together[:, 4:5], alone)


def test_wrong_arrays_are_refused_before_they_become_wrong_addresses():
    case = Case(("lstm", 8, 1, 0, 10, 3, 4, 0.0))
    engine = case.native()
    outside = case.inputs.copy()
    outside[1, 2] = 10
    with pytest.raises(IndexError, match="id 10 is outside the vocabulary of 10"):
        engine.logits(outside, case.state)
    with pytest.raises(IndexError):
        engine.train_step(case.inputs, outside, case.state, case.step)
    with pytest.raises(ValueError, match="state"):
        engine.logits(case.inputs, State.zeros(case.settings, 5))
    with pytest.raises(ValueError, match="T and B"):
        engine.logits(case.inputs[:0], case.state)


def test_the_environment_forces_kernels_and_a_wrong_name_is_an_error(monkeypatch):
    settings = ModelSettings(hidden_size=4, num_layers=1)
    weights = initial_weights(settings, 3, seed=0)
    monkeypatch.setenv("CHARLOOM_KERNELS", "baseline")
    assert NativeEngine(settings, 3, weights).kernels == "native baseline"
    monkeypatch.setenv("CHARLOOM_KERNELS", "abacus")
    with pytest.raises(SettingsError, match=r"abacus.*baseline"):
        NativeEngine(settings, 3, weights)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_another_thread_computes_can_compute():
    program = """
import os, sys, threading, time, numpy as np
from charloom.engines.native import NativeEngine
from charloom.engines.weights import initial_weights
from charloom.settings import ModelSettings
settings = ModelSettings(hidden_size=128, num_layers=1)
engine = NativeEngine(settings, 5, initial_weights(settings, 5, seed=0), threads=2)
inputs = np.zeros((400, 64), np.int32)
before, _ = engine.logits(inputs[:3], engine.zero_state(64))
ended = threading.Event()
def compute():
    while not ended.is_set():
        engine.logits(inputs, engine.zero_state(64))
busy = threading.Thread(target=compute)
busy.start()
failed = 0
for _ in range(20):
    time.sleep(0.002)
    child = os.fork()
    if child == 0:
        after, _ = engine.logits(inputs[:3], engine.zero_state(64))
        os._exit(0 if (before == after).all() else 1)
    failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
ended.set()
busy.join()
sys.exit(failed)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], timeout=100, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_an_engine_that_lives_until_the_end_leaves_no_message():
    program = """
import sys
from charloom.engines.native import NativeEngine
from charloom.engines.weights import initial_weights
from charloom.settings import ModelSettings
settings = ModelSettings(hidden_size=4, num_layers=1)
sys.kept = NativeEngine(settings, 5, initial_weights(settings, 5, seed=0))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, timeout=60, check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def test_an_engine_works_on_in_a_forked_child():
    program = """
import os, sys, numpy as np
from charloom.engines.base import State
from charloom.engines.native import NativeEngine
from charloom.engines.weights import initial_weights
from charloom.settings import ModelSettings
settings = ModelSettings(hidden_size=32, num_layers=1)
engine = NativeEngine(settings, 5, initial_weights(settings, 5, seed=0), threads=2)
inputs = np.zeros((3, 40), np.int32)
before, _ = engine.logits(inputs, State.zeros(settings, 40))
child = os.fork()
after, _ = engine.logits(inputs, State.zeros(settings, 40))
if child == 0:
    os._exit(0 if (before == after).all() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == 0
