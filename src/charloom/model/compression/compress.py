"""A file compressed to the bits that a model needs for it, and back to the same bytes.

Each character is coded with the probabilities that the model gives it after those before it, so
the size is the surprisal that `evaluate` reports, and proves it. With `adapt` the model learns
from each chunk once it is coded, as in adaptation.py; without a model, a new network does so from
nothing, and is mixed with counts of what followed the same characters before. To read the file
back the same network computes the same probabilities: with the portable kernels in float32, which
give the same bits on every processor.

    archive.py   the file     coding.py   probabilities to bytes     counts.py   the mixture

The text is not normalized. A character that the vocabulary lacks, or a byte that is not UTF-8,
is coded as the unknown, and then by its number.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...engines.base import State, StepSettings
from ...engines.random import uniform
from ...engines.selection import PORTABLE, exact_engine, fastest_kernels
from ...engines.weights import Array, Weights, weight_shapes
from ...errors import ModelFileError, SettingsError, TextError
from ...files import named, replacing
from ...settings import AdaptationSettings, CompressionSettings, ModelSettings
from ...text.batches import NOT_COUNTED
from ...text.vocabulary import Vocabulary, code_points
from ..model import Model, check_model
from ..predictor import Predictor
from ..storage.file import ModelFile, write_model
from .archive import Header, Learning, read_archive, sha256, write_archive
from .coding import TOTAL, Decoder, Encoder, frequencies
from .counts import Mixture

_CODE_POINTS = 0x110000
_BLOCK = 512
"""Characters whose probabilities are computed in one call, where nothing is learned."""
_MOST_CHARACTERS = 200
"""In the vocabulary of a new network; a file with more, or that is not UTF-8, is read as bytes."""
_AHEAD = 4
"""Chunks whose logits are computed while one is coded."""

_Item = TypeVar("_Item")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """What came of compressing a file."""

    bytes: int
    """Of the file."""
    characters: int
    archive_bytes: int
    code_bytes: int
    """Of these, the coded characters; the rest describes the archive, or is the model."""
    surprisal_bytes: float
    """The model's surprisal of all characters, in bytes: no code can be much shorter."""
    precision: str
    kernels: str
    """What it was computed with, and has to be read back with."""

    @property
    def bits_per_character(self) -> float:
        """Of the whole archive."""
        return 8 * self.archive_bytes / max(self.characters, 1)

    def to_json(self) -> dict[str, Any]:
        """Its fields, and the bits per character."""
        return {**asdict(self), "bits_per_character": self.bits_per_character}


def compress(
    source: str | Path,
    output: str | Path,
    model: Model | None = None,
    *,
    inside: bool = False,
    fast: bool = False,
    adapt: AdaptationSettings | None = None,
    settings: CompressionSettings | None = None,
    progress: Progress | None = None,
) -> Compressed:
    r"""Compress a file with a model, or without one by a network that learns as it reads.

    The archive names the model by its digest or, if it shall be `inside`, holds it with weights
    of 8 bits. If it may be `fast`, it is made with the fastest kernels of this processor, and read
    back only where those are, too. `progress` is told the characters that are done, and all of
    them. Raises TextError where the file cannot be read, and OutputError where the archive cannot
    be written.

    >>> folder = Path(tempfile.mkdtemp())
    >>> written = (folder / "a.txt").write_bytes(b"the fox and the crow\r\n" * 20)
    >>> compress(folder / "a.txt", folder / "a.loom").bytes
    440
    >>> decompress(folder / "a.loom", folder / "b.txt") == written
    True
    """
    if model is not None:
        check_model("model", model)
    data = _bytes_of(source)
    settings = CompressionSettings.of(settings, "settings")
    adapt = AdaptationSettings.of(adapt, "adapt") if adapt is not None else None
    held = b""
    if model is None:
        if adapt or inside:
            raise SettingsError("adapt, inside: these are for a model; give one")
        vocabulary = _vocabulary_of(data)
        shape = ModelSettings(hidden_size=settings.hidden_size, num_layers=settings.num_layers)
        weights, lines = _first_values(shape, vocabulary), False
        learning = Learning(
            learning_rate=settings.learning_rate,
            final_learning_rate=min(settings.final_learning_rate, settings.learning_rate),
            sequence_length=settings.sequence_length,
            beta1=0.0,
            longest_context=settings.longest_context,
        )
    else:
        if inside:
            held, model = _in_8_bits(model)
        vocabulary, shape = model.vocabulary, model.settings
        weights, lines = model.weights, model.lines
        learning = None
        if adapt:
            if "streams" in adapt.model_fields_set and adapt.streams != 1:
                raise SettingsError(
                    f"streams: {adapt.streams} was given, but a file is compressed as one stream; "
                    "use `streams=1`",
                    "streams",
                )
            learning = Learning(
                learning_rate=adapt.learning_rate,
                final_learning_rate=adapt.learning_rate,
                sequence_length=adapt.sequence_length,
                beta1=0.0,
            )
    text = _characters(data, vocabulary)
    kernels = fastest_kernels() if fast else PORTABLE
    predictor = _predictor(shape, vocabulary, weights, lines, kernels)
    coder = _Coder(predictor, learning, len(text))
    code, bits = coder.encode(text, progress)
    header = Header(
        bytes=len(data),
        sha256=sha256(data),
        characters=len(text),
        code_sha256=sha256(held + code),
        kernels=kernels,
        learning=learning,
        model=None if model is None else model.digest,
        model_bytes=len(held),
        network=shape if model is None else None,
        vocabulary=vocabulary.to_json() if model is None else None,
    )
    return Compressed(
        bytes=len(data),
        characters=len(text),
        archive_bytes=write_archive(output, header, held, code),
        code_bytes=len(code),
        surprisal_bytes=bits / 8,
        precision=predictor.engine.precision,
        kernels=kernels,
    )


def decompress(
    archive: str | Path,
    output: str | Path,
    model: Model | None = None,
    *,
    progress: Progress | None = None,
) -> int:
    """Write the file that was compressed; its size in bytes.

    `model` is the one that it was compressed with, unless the archive holds it or needs none.
    Raises ModelFileError if the archive is damaged or another model is given, and SettingsError
    if it needs one; nothing is written then.

    >>> folder = Path(tempfile.mkdtemp())
    >>> written = (folder / "a.txt").write_bytes(b"the fox")
    >>> made = compress(folder / "a.txt", folder / "a.loom")
    >>> decompress(folder / "a.loom", folder / "b.txt")
    7
    """
    if model is not None:
        check_model("model", model)
    path = Path(archive)
    header, held, code = read_archive(path)
    if header.network is not None and header.vocabulary is not None:
        vocabulary, shape = Vocabulary.from_json(header.vocabulary), header.network
        weights, lines = _first_values(shape, vocabulary), False
    else:
        if held:
            model = _opened(held)
        if model is None:
            raise SettingsError(
                f"{path}: was compressed with a model, {header.model}; give it as well"
            )
        if model.digest != header.model:
            raise ModelFileError(
                f"{path}: was compressed with another model, {header.model}; this one is "
                f"{model.digest}"
            )
        vocabulary, shape = model.vocabulary, model.settings
        weights, lines = model.weights, model.lines
    predictor = _predictor(shape, vocabulary, weights, lines, header.kernels)
    text = _Coder(predictor, header.learning, header.characters).decode(code, progress)
    data = _data(text, vocabulary)
    if len(data) != header.bytes or sha256(data) != header.sha256:
        raise ModelFileError(
            f"{path}: this is not the text that was compressed; the network computed something "
            "else here, which should not be: please report it"
        )
    with replacing(output) as file:
        file.write(data)
    return len(data)


class _Coder:
    """The walk through a text that encoding and decoding have in common.

    Symbols are the ids of the vocabulary, and one more that says "not in it" where the vocabulary
    has no unknown. The first character, before which nothing stands, is one of equally likely ones;
    after that the text is cut into chunks, and the model may learn after each.
    """

    def __init__(self, predictor: Predictor, learning: Learning | None, characters: int) -> None:
        self._engine, self._learning, self._characters = predictor.engine, learning, characters
        vocabulary = predictor.vocabulary
        self._vocabulary, self._newline = vocabulary, predictor.line_start
        self._escape = None
        if vocabulary.kind == "characters":
            self._escape = (
                vocabulary.size if vocabulary.unknown_id is None else vocabulary.unknown_id
            )
        self._symbols = vocabulary.size + (self._escape == vocabulary.size)
        self._length = learning.sequence_length if learning else _BLOCK
        self._state = self._engine.zero_state(1)
        self._last: int | None = self._newline
        self._mixture = None
        if learning and learning.longest_context:
            letters = _letters(vocabulary, self._symbols)
            self._mixture = Mixture(letters, learning.longest_context)

    def encode(self, text: Array, progress: Progress | None) -> tuple[bytes, float]:
        """The code of a text of code points or bytes (N,), and its surprisal in bits."""
        encoder, bits, at = Encoder(), 0.0, 0
        ids = self._ids(text)
        if self._last is None and len(ids):
            self._start(int(ids[0]))
            at = 1
            encoder.add_evenly(int(ids[0]), self._symbols)
            if ids[0] == self._escape:
                encoder.add_evenly(int(text[0]), _CODE_POINTS)
            bits += float(np.log2(self._symbols))
        for these, logits in _ahead(self._chunks(ids[at:], at)):
            found = self._frequencies(logits, these[:-1])
            rows = np.arange(len(these))
            taken = found[rows, these]
            starts = found.cumsum(axis=1)[rows, these] - taken
            bits -= float(np.log2(taken / TOTAL).sum())
            coded = zip(starts.tolist(), taken.tolist(), these.tolist(), strict=True)
            for n, (start, frequency, symbol) in enumerate(coded, start=at):
                encoder.add(start, frequency)
                if symbol == self._escape:
                    encoder.add_evenly(int(text[n]), _CODE_POINTS)
            if self._mixture is not None:
                self._mixture.learn(these, at / self._characters)
            at += len(these)
            if progress is not None:
                progress(at, self._characters)
        if self._escape is not None:
            bits += float(np.count_nonzero(ids == self._escape) * np.log2(_CODE_POINTS))
        return encoder.finish(), bits

    def _chunks(self, ids: Array, start: int) -> Iterator[tuple[Array, Array]]:
        """Each chunk (T,) of some symbols, the first of which is number `start`, and its logits."""
        at = 0
        while at < len(ids):
            these = ids[at : at + self._length]
            if self._newline is not None:
                ends = np.flatnonzero(these == self._newline)
                these = these[: ends[0] + 1] if len(ends) else these
            yield these, self._go_on(self._inputs(these), these, start + at)
            at += len(these)

    def decode(self, code: bytes, progress: Progress | None) -> Array:
        """The text (N,) of a code."""
        decoder, at = Decoder(code), 0
        text = np.zeros(self._characters, np.uint32)
        if self._last is None and len(text):
            first, at = decoder.find_evenly(self._symbols), 1
            self._start(first)
            text[0] = self._spelled(decoder, first)
        while at < len(text):
            state, ids = self._state, np.empty(0, np.int32)
            start = at
            while at < min(start + self._length, len(text)):
                logits, state = self._engine.logits(self._inputs(ids, one_more=True)[-1:], state)
                symbol = decoder.find(self._frequencies(logits, ids)[0])
                ids = np.append(ids, np.int32(symbol))
                text[at] = self._spelled(decoder, symbol)
                at += 1
                if symbol == self._newline:
                    break
            if self._mixture is not None:
                self._mixture.learn(ids, start / self._characters)
            self._go_on(self._inputs(ids), ids, start, state)
            if progress is not None:
                progress(at, self._characters)
        return text

    def _ids(self, text: Array) -> Array:
        """(N,) int32 symbols of a text (N,)."""
        if self._vocabulary.kind == "bytes":
            return text.astype(np.int32)
        known = code_points(self._vocabulary.characters)
        at = np.minimum(known.searchsorted(text), len(known) - 1)
        at[known[at] != text] = self._escape
        return at.astype(np.int32)

    def _inputs(self, ids: Array, *, one_more: bool = False) -> Array:
        """(T, 1) what is read before each of some symbols, and after the last of them."""
        assert self._last is not None
        read = np.append(np.int32(self._last), ids if one_more else ids[:-1])
        if self._escape == self._vocabulary.size:
            read[read == self._escape] = 0  # the model has nothing to read for it
        return read[:, None].astype(np.int32)

    def _start(self, first: int) -> None:
        self._last = first
        if self._mixture is not None:
            self._mixture.start(first)

    def _frequencies(self, logits: Array, read: Array) -> Array:
        """(T, S) of all symbols, from (T, 1, V) logits; `read` of the chunk is before the last."""
        rows = logits[:, 0]
        if self._escape == self._vocabulary.size:
            seldom = rows.max(axis=1, keepdims=True) - np.float32(11)  # 2^-16 of the likeliest
            rows = np.concatenate([rows, seldom], axis=1)
        if self._mixture is not None:
            return self._mixture.frequencies(rows, read)
        return frequencies(rows)

    def _spelled(self, decoder: Decoder, symbol: int) -> int:
        if symbol == self._escape:
            return decoder.find_evenly(_CODE_POINTS)
        if self._vocabulary.kind == "bytes":
            return symbol
        return ord(self._vocabulary.characters[symbol])

    def _go_on(self, inputs: Array, ids: Array, start: int, after: State | None = None) -> Array:
        """Read a chunk and learn from it; its logits, or none where the state after is known."""
        engine, learning, logits = self._engine, self._learning, np.empty(0)
        targets = ids[:, None].copy()
        targets[targets == self._vocabulary.size] = NOT_COUNTED
        if after is None and (learning is None or targets.min() < 0):
            logits, after = engine.logits(inputs, self._state)
        if learning is not None:
            share = start / self._characters
            rate = learning.learning_rate + share * (
                learning.final_learning_rate - learning.learning_rate
            )
            step = StepSettings(learning_rate=rate, beta1=learning.beta1)
            if after is None:
                done, logits = engine.train_step_with_logits(inputs, targets, self._state, step)
            else:
                done = engine.train_step(inputs, targets, self._state, step)
            after = done.state
        assert after is not None
        self._state, self._last = after, int(ids[-1])
        if self._last == self._newline:
            self._state = engine.zero_state(1)
        return logits


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items; a thread makes the next ones while one is used."""
    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(next, items, None) for _ in range(_AHEAD))
        while (item := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, items, None))
            yield item


def _bytes_of(source: str | Path) -> bytes:
    try:
        path = named(source)
        if path.is_char_device():
            raise TextError(f"{source}: is a device, which may have no end; give a file")
        return path.read_bytes()
    except OSError as error:
        raise TextError(f"{source}: {error.strerror}; give the name of a file") from None


def _vocabulary_of(data: bytes) -> Vocabulary:
    """Of a new network."""
    try:
        found = sorted(set(data.decode()))
    except UnicodeDecodeError:
        return Vocabulary.bytes()
    if not 1 <= len(found) <= _MOST_CHARACTERS:
        return Vocabulary.bytes()
    return Vocabulary.of("".join(found))


def _letters(vocabulary: Vocabulary, symbols: int) -> Array:
    """(S,) the code points of letters, A to Z as a to z; 0 for what is none.

    All from 128 on are letters: tables of Unicode differ from one version of Python to the next.

    >>> _letters(Vocabulary.of("A-bé"), 5).tolist()
    [0, 97, 98, 233, 0]
    """
    known = np.arange(256) if vocabulary.kind == "bytes" else code_points(vocabulary.characters)
    codes = np.zeros(symbols, np.int64)
    codes[: len(known)] = known
    codes[(codes >= ord("A")) & (codes <= ord("Z"))] += ord("a") - ord("A")
    letter = (codes >= ord("a")) & (codes <= ord("z")) | (codes >= 128)
    return np.where(letter, codes, 0)


def _characters(data: bytes, vocabulary: Vocabulary) -> Array:
    """(N,) the code points of a file, or its bytes; a byte not of UTF-8 is a half surrogate."""
    if vocabulary.kind == "bytes":
        return np.frombuffer(data, np.uint8)
    return code_points(data.decode("utf-8", "surrogateescape"))


def _data(text: Array, vocabulary: Vocabulary) -> bytes:
    """The file of such a text."""
    if vocabulary.kind == "bytes":
        return text.astype(np.uint8).tobytes()
    characters = text.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    try:
        return characters.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b""  # no file has such a text


def _first_values(shape: ModelSettings, vocabulary: Vocabulary) -> Weights:
    """The weights of a new network, by integers alone: NumPy's own are not the same everywhere.

    With a variance of 1 for the inputs of the first layer, which are one-hot, and of 1 / H for
    all others, which is what `initial_weights` has.
    """
    weights: Weights = {}
    for number, (name, size) in enumerate(weight_shapes(shape, vocabulary.size).items()):
        values = uniform(np.full(int(np.prod(size)), number, np.uint64), np.arange(np.prod(size)))
        width = 0.0 if "bias" in name else 3.0 if name.endswith("ih_l0") else 3.0 / size[-1]
        weights[name] = ((2 * values - 1) * width**0.5).reshape(size).astype(np.float32)
    return weights


def _predictor(
    shape: ModelSettings, vocabulary: Vocabulary, weights: Weights, lines: bool, kernels: str
) -> Predictor:
    # A single stream leaves little to a second thread, and it would have to be woken each time.
    engine = exact_engine(shape, vocabulary.size, weights, kernels=kernels, threads=1)
    return Predictor(engine=engine, vocabulary=vocabulary, lines=lines)


def _in_8_bits(model: Model) -> tuple[bytes, Model]:
    """A model file of 8 bits, and the model in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        content = ModelFile(
            settings=model.settings,
            vocabulary=model.vocabulary,
            weights=dict(model.weights),
            provenance=model.provenance,
        )
        write_model(path, content, bits=8)
        return path.read_bytes(), Model.load(path)


def _opened(held: bytes) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(held)
        return Model.load(path)
