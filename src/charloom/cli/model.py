"""Commands that use a model: generate, evaluate, score and info.

With -o the first three take each file as a text of its own (many.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import charloom

from ..errors import SettingsError, counted
from ..settings import (
    AdaptationSettings,
    AmountSettings,
    SamplingSettings,
)
from . import formatting
from .arguments import (
    READING,
    AsJson,
    FirstModel,
    ModelPath,
    OptionalTexts,
    SecondModel,
    Texts,
    load,
    path,
    pieces_of,
    reading_flags,
    reading_of,
    show,
    temperature_flag,
    text_name,
)
from .flags import chosen, flags, given, refuse
from .many import PartsFolder, many_flags, on_many_files, refuse_many
from .rules import (
    GrammarFlag,
    JsonSchemaFlag,
    NoCopiesFlag,
    PatternFlag,
    TrainingTextFlag,
    TriesFlag,
    ValidateFlag,
    given_rule,
    validator,
)
from .streams import say, tell


@many_flags
@reading_flags
@flags(SamplingSettings, only=("seed",), instead="a new one, told on standard error")
@temperature_flag
@flags(SamplingSettings, only=("top_k", "top_p"))
@flags(AmountSettings)
def generate(
    context: typer.Context,
    model: ModelPath,
    text: OptionalTexts = None,
    output: PartsFolder = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="STRING", help="the text to continue")
    ] = None,
    prompt_file: Annotated[
        Any,
        typer.Option(
            parser=text_name, metavar="FILE", help="continue the text of a file, or - for stdin"
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="STRING", help="end before this text; may be repeated"),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="go on after the text whose state is in this file"
        ),
    ] = None,
    state_out: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="write the state after the text to this file"
        ),
    ] = None,
    pattern: PatternFlag = None,
    json_schema: JsonSchemaFlag = None,
    grammar: GrammarFlag = None,
    no_copies: NoCopiesFlag = None,
    training_text: TrainingTextFlag = None,
    validate: ValidateFlag = None,
    tries: TriesFlag = 100,
    format: Annotated[
        Literal["text", "jsonl"],
        typer.Option(help="jsonl has a line for each text, with its prompt, seed and temperature"),
    ] = "text",
    **values: Any,
) -> int:
    """Generate text with a model and print it as it is made.

    The prompt is printed first. With --count all texts are printed at the end, one after
    another, with a line --- between them if any has several lines; with --format jsonl each is a
    line of JSON, and its "text" is what follows its "prompt". The same --seed gives the same text.
    With -o each TEXT is a prompt, or a file of prompts in JSON lines or Parquet, and has a file of
    texts in FOLDER.

    A long text need be read only once: --state-out keeps what the model knows after it, also with
    --length 0, and --state goes on from there. With the same --seed a text in two halves is that
    of one command.

    Under a rule (--pattern, --json-schema, --grammar) what follows the prompt fulfils it as a
    whole, and within --length. A text ends where nothing may follow; where something may, it ends
    as others do: at --stop, at the end of the line for a model of lines, or at --length. With
    --no-copies, also beside one of these, the text, its prompt included, copies no N characters in
    a row. What no rule can say
    a program may, with --validate; the share that it accepts is told on standard error, and the
    exit status is 1 where --tries were not enough.

    For example:

        charloom generate book.run --prompt "The Fox" --temperature 0.5
        charloom generate names.run --count 10 --pattern "[A-Z][a-z]{2,5}"
    """
    rule = given_rule(pattern, json_schema, grammar, no_copies, training_text, values)
    if output is not None:
        if prompt is not None or prompt_file is not None:
            raise SettingsError("-o takes prompts from files; leave out --prompt and --prompt-file")
        refuse(context, ("state", "state_out"), "is of one text, and -o was given")
        refuse(context, ("validate", "tries"), "is of one text, and -o was given")
        if given(context, "format"):
            raise SettingsError("--format is for one prompt; --parts says what the parts are")
        names = [*SamplingSettings.model_fields, *AmountSettings.model_fields]
        options = {name: values[name] for name in names} | rule
        return on_many_files("generate", model, text, output, values, stop=stop, **options)
    refuse_many(context)
    if text:
        raise SettingsError(
            "TEXT is a file of prompts for -o FOLDER, which was not given; for one prompt give "
            "--prompt or --prompt-file"
        )
    if prompt is not None and prompt_file is not None:
        raise SettingsError("give either --prompt or --prompt-file, not both")
    if prompt_file is json_schema is grammar is training_text is None:
        refuse(context, READING, "is for a file, and none was named")
    told = ""
    if values["seed"] is None:
        values["seed"] = secrets.randbelow(2**31)
        told = f"seed {values['seed']}"
        if not given(context, "temperature"):
            told += f", temperature {values['temperature']}"
    if format == "jsonl":
        told = ""  # each line has it
    sampling, amount = chosen(SamplingSettings, values), chosen(AmountSettings, values)
    loaded = load(model, values)
    if prompt_file is not None:
        prompt = "".join(pieces_of(loaded, [prompt_file], values))
    prompt = loaded.normalized(prompt or "", "prompt")
    if state_out is not None and amount.count > 1:
        raise SettingsError("state_out: it is of one text, and --count is more than 1", "state_out")
    before = charloom.TextState.load(state) if state is not None else None
    options = {
        "state": before,
        "length": amount.length,
        "stop": stop or None,
        "rule": charloom.rule_given(
            loaded,
            prompt=prompt,
            reading=loaded.text_settings.replace(**reading_of(values)),
            **rule,
        ),
        **sampling.model_dump(),
    }
    facts = sampling.model_dump() | loaded.computed_with if format == "jsonl" else None
    if validate is not None:
        if state_out is not None:
            raise SettingsError("state_out: it is of one text as it is made; leave out --validate")
        found = loaded.generate_checked(
            validator(validate, prompt), prompt, count=amount.count, tries=tries, **options
        )
        if told:
            tell(told)
        _say_each(prompt, found.texts, facts)
        tell(f"{len(found.texts):,} of {counted(found.drawn, 'text')} accepted ({found.rate:.1%})")
        return 0 if len(found.texts) == amount.count else 1
    refuse(context, ("tries",), "has no effect without --validate")
    if amount.count == 1:
        pieces = loaded.generate(prompt, **options)
    else:
        pieces = loaded.generate_many(prompt, count=amount.count, **options)
    if told:
        tell(told)
    if amount.count > 1:
        _say_each(prompt, list(pieces), facts)
        return 0
    written = _said(prompt, pieces) if facts is None else "".join(pieces)
    if facts:
        _say_each(prompt, [written], facts)
    if state_out is not None:
        loaded.state_after(
            charloom.InMemory(prompt) if prompt else "", before, generated=written
        ).save(state_out)
    return 0


def _said(prompt: str, pieces: Iterable[str]) -> str:
    """Print a text as it is made; what follows the prompt."""
    written: list[str] = []
    say(prompt, end="")
    for piece in pieces:
        say(piece, end="")
        written.append(piece)
    say("")
    return "".join(written)


def _say_each(prompt: str, texts: Sequence[str], facts: dict[str, Any] | None) -> None:
    """Print texts, one after the other; with `facts`, each as a line of JSON that has these."""
    several_lines = any("\n" in prompt + one for one in texts)
    for number, one in enumerate(texts):
        if facts is not None:
            row = {"number": number, "prompt": prompt, "text": one}
            say(formatting.as_json(row | facts, indent=None))
            continue
        if number and several_lines:
            say("---")
        say(prompt + one)


@many_flags
@reading_flags
@flags(AdaptationSettings)
def evaluate(
    context: typer.Context,
    model: ModelPath,
    text: Texts,
    output: PartsFolder = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="read the text as one stream, which is slow"),
    ] = False,
    adapt: Annotated[
        bool,
        typer.Option("--adapt", help="also measure a copy of the model that learns as it reads"),
    ] = False,
    as_json: AsJson = False,
    **values: Any,
) -> int:
    """Measure how well a model predicts a text.

    Prints bits per character and per byte of UTF-8, perplexity per character, the total
    surprisal in nats, and the number of characters that the model does not know. Unless
    --exact is given, the text is read as parallel segments, each warmed up on the text before
    it: much faster, and a close approximation. It is computed in the precision that the
    model was trained in, unless --precision says otherwise; precision and kernels stand
    beside the numbers. With --precision int8 the last line says how
    many bits per character 8-bit weights cost in comparison with float32.

    With --adapt a second measurement follows, its names beginning with "adapted": a copy of
    the model learns from each stretch of the text right after it was counted (dynamic
    evaluation). It says how predictable the text is from itself, too, and is no number to set
    beside one that was measured without.
    With -o each file is a text of its own, measured by one of several processes.

    For example:

        charloom evaluate book.run other.txt
    """
    if not adapt:
        refuse(context, AdaptationSettings.model_fields, "has no effect without --adapt")
    if output is not None:
        if as_json:
            raise SettingsError("--json is for one text; --parts says what the parts are")
        if adapt:
            raise SettingsError("--adapt is for one text; leave out -o")
        return on_many_files("evaluate", model, text, output, values, exact=exact)
    refuse_many(context)
    loaded = load(model, values)
    pieces = pieces_of(loaded, text, values)
    if values["precision"] != "int8" and not adapt:
        found = formatting.total(loaded.evaluate(pieces, exact=exact))
        show(found | loaded.computed_with, as_json)
        return 0
    whole = list(pieces)  # standard input cannot be read twice
    total = loaded.evaluate(whole, exact=exact)
    if adapt:
        settings = chosen(AdaptationSettings, values)
        adapted = formatting.total(loaded.evaluate(whole, adapt=settings)) | settings.model_dump()
        for same in ("characters", "utf8_bytes", "unknown_characters"):
            del adapted[same]
        found = formatting.total(total) | loaded.computed_with
        show(found | {"adapted": adapted}, as_json)
        return 0
    unrounded = load(model, values | {"precision": "float32"}).evaluate(whole, exact=exact)
    cost = total.bits_per_character - unrounded.bits_per_character
    found = formatting.total(total) | loaded.computed_with
    show(found | {"int8_costs_bits_per_character": cost}, as_json)
    return 0


@many_flags
@reading_flags
def score(
    context: typer.Context,
    model: ModelPath,
    text: Texts,
    output: PartsFolder = None,
    by: Annotated[
        Literal["character", "word", "line"], typer.Option(help="the parts to show")
    ] = "line",
    format: Annotated[
        Literal["table", "json", "jsonl"],
        typer.Option(help="jsonl has a line for each part, and the total in the last"),
    ] = "table",
    **values: Any,
) -> int:
    """Show how surprising each part of a text is.

    The surprisals of the parts add up exactly to that of the whole, read as one stream. For
    characters the rank is shown too: 1 if the model found the character likeliest. With -o
    each file is a text of its own, scored by one of several processes.

    For example:

        charloom score book.run other.txt --by word
    """
    if output is not None:
        if given(context, "format"):
            raise SettingsError("--format is for one text; --parts says what the parts are")
        return on_many_files("score", model, text, output, values, by=by)
    refuse_many(context)
    loaded = load(model, values)
    parts = loaded.score(pieces_of(loaded, text, values), by=by)
    for piece in formatting.written(parts, format, loaded.computed_with):
        say(piece, end="")
    return 0


@reading_flags
def compare(
    a: FirstModel,
    b: SecondModel,
    text: Texts,
    places: Annotated[
        int, typer.Option(help="words to show where either model is better (at least 0)")
    ] = 5,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Compare two models on one text.

    Prints the bits per character of each, and the difference, that of B less that of A, with an
    interval in which it lies in 95 of 100 such texts: the text is cut into 20 blocks, and how
    much they differ from each other tells how sure the difference is. Then come the words where
    one model is better than the other by the most bits.

    For example:

        charloom compare book.run other.run text.txt
    """
    first, second = load(a, values), load(b, values)
    pieces = list(pieces_of(first, text, values))
    found = charloom.compare(first, second, pieces, places=places)
    say(formatting.as_json(found) if as_json else formatting.compared(found))


def info(model: ModelPath, as_json: AsJson = False) -> None:
    """Print everything that is known about a model.

    For example:

        charloom info book.run
    """
    show(charloom.Model.load(model).describe(), as_json)
