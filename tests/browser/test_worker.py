"""What the page's worker does beside the core: files, texts, random numbers, batches."""

from __future__ import annotations

import json

import numpy as np
import pytest
from replay import CASES, FOLDER
from serving_tools import TEXT, small_model
from worker_code import Run, decoded, encoded, file_of

from charloom import Model, ModelSettings
from charloom.engines.random import stream_seeds, uniform
from charloom.engines.weights import initial_weights
from charloom.serving.activations import BlockCache, TracedText
from charloom.text.normalizing import normalized
from charloom.text.vocabulary import Vocabulary

TEXTS = [
    "the Fox",
    "\ufeffa\r\nb\rc\n\n",
    "e\u0301\u0327 \U0001f600 \u6f22\u5b57 \u05d0\u05d1 \u200b\ufeff\u2028 \x00\x7f",
    "\r",
]


def test_the_conformance_vectors_are_replayed(node: Run):
    cases = {name: json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in CASES}
    files = {name: encoded((FOLDER / case["model"]).read_bytes()) for name, case in cases.items()}
    found = node(
        """return Object.entries(given.files).map(([name, file]) => {
          const model = readModel(bytesOf(file));
          const { vocabulary } = model;
          const predictor = new Predictor(core, model);
          const { network } = predictor;
          let state = network.zeroState();
          const passages = given.cases[name].passages.map(({ ids }) => {
            const read = network.logits(Int32Array.from(ids), state);
            state = read.state;
            return [read.logits, state.hidden, state.cell].map(base64Of);
          });
          const texts = given.cases[name].texts.map(({ prompt, ids, ...sampling }) => {
            const encoded = vocabulary.encode(prompt);
            const before = network.logits(encoded.slice(0, -1), network.zeroState()).state;
            const seed = BigInt(sampling.stream_seed);
            const last = encoded.at(-1);
            const { unknownId } = vocabulary;
            const made = network.generate(last, before, ids.length, sampling, seed, 0, unknownId);
            const request = { prompt, length: ids.length, layer: 0, ...sampling };
            const live = [...liveText(predictor, request)];
            const text = live.map(({ character }) => character).join("");
            return [[...encoded], [...made.ids], text, streamSeed(sampling.seed).toString()];
          });
          return [name, passages, texts];
        });""",
        cases=cases,
        files=files,
    )
    assert [name for name, _, _ in found] == CASES
    for name, passages, texts in found:
        case = cases[name]
        for passage, given in zip(passages, case["passages"], strict=True):
            for values, wanted in zip(passage, ("logits", "hidden", "cell"), strict=True):
                expected = np.array(given[wanted], np.float32)
                np.testing.assert_allclose(
                    decoded(values).reshape(expected.shape),
                    expected,
                    rtol=0,
                    atol=case["tolerance"],
                )
        for text, given in zip(texts, case["texts"], strict=True):
            assert text == [given[key] for key in ("prompt_ids", "ids", "text", "stream_seed")], (
                name
            )


@pytest.mark.parametrize(
    "settings",
    [{}, {"lines": True}, {"cell": "gru"}, {"cell": "rnn", "lines": True}, {"embedding_size": 5}],
    ids=str,
)
def test_a_text_that_is_read_has_the_numbers_of_python(node: Run, tmp_path, settings):
    text = TEXT + "Ω" + TEXT  # an unknown character, and more than two blocks
    model = small_model(**settings)
    found = node(
        """const text = new TracedText(new Predictor(core, model), given.text);
        const { speaks, before, ...heading } = text.heading();
        const names = ["nats", "ranks", "after", "probabilities"];
        const blocks = [...text.blocks()].map(({ start, ...arrays }) =>
          [start, ...names.map((name) => base64Of(arrays[name]))]);
        const { length } = text.ids;
        const layers = [0, 1].map((layer) => [
          base64Of(text.values(layer, text.quantities, 0, length)),
          base64Of(text.values(layer, text.quantities.slice(0, 1), 250, 260, 3)),
          ...text.quantities.map((name) => base64Of(text.levels(layer, name, 0, length))),
          ...text.quantities.map((name) => base64Of(text.totals(layer, name)))]);
        return { heading, blocks, layers, speaks: base64Of(speaks), before: base64Of(before) };""",
        model=file_of(model, tmp_path),
        text=text,
    )
    traced = TracedText(model, text, BlockCache())
    blocks = list(traced.blocks())
    heading = traced.heading()
    assert {**found["heading"], "speaks": found["speaks"], "before": found["before"]} == {
        name: list(value) if isinstance(value, tuple) else value for name, value in heading.items()
    }
    for (start, *arrays), block in zip(found["blocks"], blocks, strict=True):
        assert start == block["start"]
        for array, name in zip(arrays, ("nats", "ranks", "after", "probabilities"), strict=True):
            kind = "<i4" if name in ("ranks", "after") else "<f4"
            values, expected = decoded(array, kind), decoded(block[name], kind)
            np.testing.assert_allclose(values, expected, rtol=2e-7 * (kind == "<f4"))
    count = len(traced.quantities)
    for layer, (values, unit, *rest) in enumerate(found["layers"]):
        every = traced.values(layer, traced.quantities, 0, len(text))
        np.testing.assert_array_equal(decoded(values).reshape(every.shape), every)
        one = traced.values(layer, traced.quantities[:1], 250, 260, 3)
        np.testing.assert_array_equal(decoded(unit), one.ravel())
        for name, levels, totals in zip(traced.quantities, rest[:count], rest[count:], strict=True):
            shown = traced.levels(layer, name, 0, len(text)).ravel().astype(int)
            assert abs(decoded(levels, "u1").astype(int) - shown).max() <= 1
            sums = traced.totals(layer, name).ravel()
            np.testing.assert_allclose(decoded(totals, "<f8"), sums, rtol=1e-12, atol=1e-12)


def test_a_model_file_of_8_bits_is_read_as_in_python(node: Run, tmp_path):
    path = tmp_path / "rounded.safetensors"
    small_model().save(path, bits=8)
    found = node(
        "return Object.entries(model.weights).map(([name, values]) => [name, base64Of(values)]);",
        model=encoded(path.read_bytes()),
    )
    expected = Model.load(path).weights
    assert [name for name, _ in found] == list(expected)
    for name, values in found:
        np.testing.assert_array_equal(decoded(values), expected[name].ravel())


def test_lines_and_bytes_and_no_prompt_are_generated_as_in_python(node: Run, tmp_path):
    shape = ModelSettings(hidden_size=24, num_layers=2)
    weights = initial_weights(shape, 256, seed=0)
    small = Vocabulary.of("abc")
    models = {
        "lines": small_model(lines=True),
        "bytes": Model(shape, Vocabulary.bytes(), weights, precision="float32"),
        "no line feed": Model(shape, small, initial_weights(shape, 3, seed=1), precision="float32"),
    }
    for name, model in models.items():
        prompt = {"lines": "x\nOne ", "bytes": "é"}.get(name, "")
        for given in ({"prompt": prompt, "seed": 5}, {"prompt": "", "seed": 2**62 + 1}):
            found = node(
                """const request = {
                  layer: 1, length: 300, temperature: 1, top_k: 0, top_p: 1,
                  prompt: given.prompt, seed: BigInt(given.seed),
                };
                const made = [...liveText(new Predictor(core, model), request)];
                return made.map(({ character }) => character).join("");""",
                model=file_of(model, tmp_path),
                prompt=given["prompt"],
                seed=str(given["seed"]),
            )
            assert found == "".join(model.generate(given["prompt"], length=300, seed=given["seed"]))


def test_texts_are_normalized_and_encoded_as_in_python(node: Run):
    known = Vocabulary.of(TEXT, unknown=True)
    found = node(
        """const known = new Vocabulary(given.known);
        const bytes = new Vocabulary({ kind: "bytes", characters: "", unknown: false });
        return given.texts.map((text) => [
          normalized(text, "none"), normalized(text, "nfc"),
          [...known.encode(text)], [...bytes.encode(text)],
          JSON.stringify(Vocabulary.of(text, true))]);""",
        texts=TEXTS,
        known=known.to_json(),
    )
    for text, (none, nfc, ids, octets, vocabulary) in zip(TEXTS, found, strict=True):
        assert none == normalized(text, "none")
        assert nfc == normalized(text, "nfc")
        assert ids == known.encode(text).tolist()
        assert octets == list(text.encode())
        assert Vocabulary.from_json(json.loads(vocabulary)) == Vocabulary.of(text, unknown=True)


def test_what_cannot_be_read_is_told_in_one_line(node: Run, tmp_path):
    found = node(
        """const told = (act) => {
          try { act(); return ""; } catch (error) { return error.message; }
        };
        const shape = { embedding_size: 0, hidden_size: 2, num_layers: 1 };
        return [
          told(() => normalized("ab\\ud800", "none", "prompt")),
          told(() => Vocabulary.of("ab").encode("aé")),
          told(() => new TracedText(new Predictor(core, model), "")),
          told(() => core.network({ cell: "sru", ...shape }, 3)),
        ];""",
        model=file_of(small_model(), tmp_path),
    )
    for message, part in zip(
        found,
        [
            "prompt: character 2 (the first is 0) is half",
            "(U+00E9) at position 1",
            "empty",
            "cell sru",
        ],
        strict=True,
    ):
        assert part in message


def test_random_numbers_are_those_of_python(node: Run):
    seeds = [0, 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1]
    found = node(
        """return given.seeds.map((text) => {
          const seed = streamSeed(BigInt(text));
          const others = [1, 99, 2 ** 33].map((n) => streamSeed(BigInt(text), n).toString());
          return [seed.toString(), uniform(seed, 0), uniform(seed, 2 ** 31), others];
        });""",
        seeds=[str(seed) for seed in seeds],
    )
    for seed, (own, first, later, others) in zip(seeds, found, strict=True):
        expected = [stream_seeds(seed, 1, stream)[0] for stream in (1, 99, 2**33)]
        assert [int(other) for other in others] == expected
        expected = stream_seeds(seed, 1)
        assert int(own) == expected[0]
        assert [first, later] == [uniform(expected, 0)[0], uniform(expected, 2**31)[0]]


def test_first_values_are_drawn_as_they_are_meant(node: Run):
    V, H = 50, 64
    found = node(
        """const settings = { cell: "lstm", hidden_size: 64, num_layers: 2, embedding_size: 0 };
        const drawn = (kind) => Object.entries(firstValues(settings, 50, 7, kind));
        return Object.fromEntries(["keras", "scaled"].map((kind) =>
          [kind, drawn(kind).map(([name, values]) => [name, base64Of(values)])]));"""
    )
    for kind, weights in found.items():
        model = ModelSettings(hidden_size=H, num_layers=2)
        expected = initial_weights(model, V, seed=0, first_values=kind)
        assert [name for name, _ in weights] == list(expected)
        for name, text in weights:
            values, like = decoded(text).reshape(expected[name].shape), expected[name]
            if "bias" in name:
                np.testing.assert_array_equal(values, like)
                continue
            assert values.std() == pytest.approx(like.std(), rel=0.03)
            assert abs(values.mean()) < 5 * like.std() / like.size**0.5
            if "weight_hh" in name:
                np.testing.assert_allclose(values.T @ values, np.eye(H), atol=1e-6)
            elif not (kind == "scaled" and name.endswith("ih_l0")):
                assert abs(values).max() == pytest.approx(abs(like).max(), rel=0.01)


def test_windows_and_streams_are_cut_as_in_the_pictures(node: Run):
    found = node(
        """const ids = Int32Array.from({ length: 103 }, (_, n) => n);
        const settings = { batch_size: 4, sequence_length: 6, seed: 1 };
        return [Windows, Streams].map((Kind) => [0, 1].map((epoch) => {
          const batches = new Kind(ids, settings);
          return Array.from({ length: batches.perEpoch }, (_, index) => {
            const { inputs, targets, streams, fresh } = batches.batch(epoch, index);
            return [[...inputs], [...targets], streams, fresh];
          });
        }));"""
    )
    for epoch in found[0]:
        starts = []
        for inputs, targets, B, fresh in epoch:
            rows, wanted = np.array(inputs).reshape(6, B), np.array(targets).reshape(6, B)
            assert fresh
            assert (rows == rows[0] + np.arange(6)[:, None]).all()
            assert (wanted[:-1] == -1).all()
            assert (wanted[-1] == rows[-1] + 1).all()
            starts += rows[0].tolist()
        assert sorted(starts) == list(range(103 - 6))
        assert starts != sorted(starts)
    for epoch in found[1]:
        last = None
        for index, (inputs, targets, B, fresh) in enumerate(epoch):
            rows = np.array(inputs).reshape(-1, B)
            assert fresh == (index == 0)
            assert B == 4
            np.testing.assert_array_equal(np.array(targets).reshape(-1, B), rows + 1)
            assert last is None or (rows[0] == last + 1).all()
            last = rows[-1]
    assert found[1][0][0] != found[1][1][0]
