// A model generates, and shows its gates while it does: the twin of serving/live_text.py.
"use strict";

const LONGEST_PIECE = 16; // ids that are drawn in one call; the first is one

// Yields { character, nats, gates } for each character that follows a prompt: what
// Model.generate yields for the same options, or its `stream`-th of many.
function* liveText(predictor, { prompt, length, layer, seed, stream = 0, ...sampling }) {
  const { network, vocabulary, cell } = predictor;
  const gates = Object.keys(cell.quantities).filter((name) => cell.quantities[name].scale === GATE);
  const decoder = vocabulary.kind === "bytes" ? new TextDecoder("utf-8", { ignoreBOM: true }) : null;
  let shares = null; // what is expected next, if anything
  let state = network.zeroState(); // after all characters that were shown

  function shown(character) {
    const ids = vocabulary.encode(character);
    const traced = predictor.network.trace(ids, state);
    let nats = shares && 0;
    ids.forEach((id, n) => {
      if (nats !== null) nats -= shares[id];
      shares = logSoftmax(traced.logits.subarray(n * vocabulary.size, (n + 1) * vocabulary.size));
    });
    state = traced.state;
    return { character, nats, gates: lastLevels(traced.quantities, gates, ids.length) };
  }

  // (gates, H) bytes, of the last of T ids.
  function lastLevels(quantities, names, T) {
    const { H, L } = network;
    const levels = new Uint8Array(names.length * H);
    names.forEach((name, n) => {
      const at = ((cell.traced.indexOf(name) * L + layer) * T + T - 1) * H;
      levels.set(quantities.subarray(at, at + H).map((value) => Math.round(value * 255)), n * H);
    });
    return levels;
  }

  const ids = predictor.context(normalized(prompt, predictor.normalization, "prompt"));
  const key = streamSeed(seed, stream);
  let last, before = state, drawn = 0, left = length;
  if (ids.length) {
    if (ids.length > 1) before = network.logits(ids.subarray(0, -1), state).state;
    last = ids.at(-1);
    const read = network.logits(Int32Array.of(last), before);
    [shares, state] = [logSoftmax(read.logits), read.state];
  } else {
    last = Math.floor(uniform(key, 0) * (vocabulary.size - Number(vocabulary.unknown)));
    drawn = 1;
    for (const character of written(Int32Array.of(last))) yield shown(character);
  }
  for (let size = 1; left > 0; size = Math.min(2 * size, LONGEST_PIECE)) {
    const count = Math.min(size, left);
    const made = network.generate(last, before, count, sampling, key, drawn, vocabulary.unknownId);
    [last, before, drawn] = [made.ids.at(-1), made.state, drawn + count];
    for (const character of written(made.ids)) {
      if (predictor.lines && character === "\n") return;
      yield shown(character);
    }
  }

  // The characters of ids, as many as are left; one that is cut in bytes waits for its rest.
  function written(ids) {
    const text = decoder ? decoder.decode(Uint8Array.from(ids), { stream: true }) : vocabulary.symbols(ids).join("");
    const characters = [...text].slice(0, left);
    left -= characters.length;
    return characters;
  }
}
