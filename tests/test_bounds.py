"""Numbers that reach C++: bounds that hold in Python, on the command line and over HTTP alike."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from serving_tools import served, small_model

import charloom
from charloom import InMemory, Model, ModelSettings, SamplingSettings, TrainingSettings
from charloom.cli.lazy import app
from charloom.cli.main import main
from charloom.errors import CharloomError, SettingsError
from charloom.inspection.settings import UnitsSettings
from charloom.serving.completion_request import CompletionSettings
from charloom.settings import COLDEST, AmountSettings, ComputingSettings, Settings


def every(settings: type[Settings]) -> list[type[Settings]]:
    inner = [kind for kind in settings.__subclasses__() if kind.__module__.startswith("charloom")]
    return [*inner, *(deeper for kind in inner for deeper in every(kind))]


CLASSES = [  # of the others, which are records, no field can be given alone
    settings
    for settings in every(Settings)
    if not any(field.is_required() for field in settings.model_fields.values())
]
HUGE = (2**31, 2**32 + 1, 2**40, 2**63 - 1, 2**63, 2**64, 10**30)
WILD = (float("inf"), float("-inf"), float("nan"), 1e307, -1e307, 1e-320, -1, -1.5, *HUGE)


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


@pytest.mark.parametrize("settings", CLASSES)
def test_every_number_of_the_settings_is_refused_in_one_line_or_is_within_64_bits(settings):
    for name, field in settings.model_fields.items():
        if not {int, float} & {field.annotation, *getattr(field.annotation, "__args__", ())}:
            continue
        for value in WILD:
            try:
                kept = getattr(settings(**{name: value}), name)
            except SettingsError as error:
                assert "\n" not in str(error)
                assert name in error.settings
            else:
                assert kept == pytest.approx(value)
                assert isinstance(kept, float) or abs(kept) < 2**63


def test_the_settings_of_every_folder_are_tried():
    assert {TrainingSettings, UnitsSettings, CompletionSettings} <= set(CLASSES)


def test_no_integer_that_cpp_keeps_in_32_bits_is_larger():
    for settings, name in (
        (SamplingSettings, "top_k"), (ComputingSettings, "threads"), (AmountSettings, "count"),
        (TrainingSettings, "batch_size"), (TrainingSettings, "sequence_length"),
        (ModelSettings, "hidden_size"), (ModelSettings, "embedding_size"),
    ):  # fmt: skip
        with pytest.raises(SettingsError):
            settings(**{name: 2**31})


CASES: list[tuple[dict[str, Any], str]] = [
    ({"top_k": 3_000_000_000}, "top_k"),
    ({"top_k": -1}, "top_k"),
    ({"temperature": 1e-320}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"temperature": float("inf")}, "temperature"),
    ({"top_p": 1e400}, "top_p"),
    ({"length": 2**40}, "length"),
    ({"seed": 2**63}, "seed"),
]


@pytest.mark.parametrize(("options", "name"), CASES)
def test_generation_refuses_them_in_python_and_on_the_command_line(
    options, name, model, tmp_path, capsys
):
    for act in (model.generate, lambda **o: model.generate_many(count=1, **o)):
        with pytest.raises(SettingsError, match=f"^{name}: "):
            act(**options)
    model.save(tmp_path / "m")
    ((key, value),) = options.items()
    flag = f"--{key.replace('_', '-')}"
    assert main(["generate", str(tmp_path / "m"), flag, str(value)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"charloom: {flag}: ")


@pytest.mark.parametrize(("options", "name"), CASES)
def test_the_server_refuses_them_before_it_answers(options, name, model):
    ((_, value),) = options.items()
    if value != value or abs(value) == float("inf"):
        pytest.skip("JSON has no such number")
    with served(model) as page:
        answer = page.ask("/api/write", {"prompt": "a", **options})
    assert (answer.status, answer.json["error"][: len(name)]) == (400, name)


def test_amounts_threads_budgets_and_batches_are_refused_at_once(model):
    for act, name in (
        (lambda: model.generate_many(count=2**40), "count"),
        (lambda: model.generate_many(count=0), "count"),
        (lambda: Model.untrained(model.settings, model.vocabulary, threads=-1), "threads"),
        (lambda: Model.untrained(model.settings, model.vocabulary, threads=2**31), "threads"),
        (lambda: list(charloom.recall(threads=-1, steps=1, hidden_size=2)), "threads"),
        (lambda: TrainingSettings(epochs=float("inf")), "epochs"),
        (lambda: TrainingSettings(minutes=1e307), "minutes"),
        (lambda: TrainingSettings(steps=2**63), "steps"),
        (lambda: TrainingSettings(batch_size=2**31), "batch_size"),
        (lambda: charloom.units(model, "a" * 300, shuffles=2**40), "shuffles"),
        (lambda: charloom.units(model, "a" * 300, alpha=1e-300), "alpha"),
        (lambda: charloom.context(model, "abc" * 30, distance=2**40), "distance"),
        (lambda: next(model.trace_pieces("abc", alternatives=0)), "alternatives"),
        (lambda: next(model.trace_pieces("abc", steps=-1)), "steps"),
        (lambda: model.fit([[0]], [0], batch_size=2**31), "batch_size"),
    ):
        with pytest.raises(SettingsError, match=name):
            act()


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_coldest_temperature_that_is_allowed_takes_the_likeliest(engine, monkeypatch):
    monkeypatch.setenv("CHARLOOM_ENGINE", engine)
    model = small_model()
    likeliest = "".join(model.generate("the", length=40, temperature=0))
    assert "".join(model.generate("the", length=40, temperature=COLDEST)) == likeliest


def test_the_largest_budgets_that_are_allowed_plan_a_run():
    for budget in ({"epochs": 10**6}, {"minutes": 10**6}, {"steps": 10**12}):
        settings = TrainingSettings(**budget, learning_rate=1e-3)
        run = charloom.train(InMemory("the cat sat on the mat. " * 9), training=settings)
        next(run)
        run.stop()
        assert 1 <= run.steps < 2**63


def whole_numbers() -> list[tuple[str, str]]:
    """Each flag of each command that takes a whole number."""
    found = []
    for command in app().registered_commands:
        signature = inspect.signature(command.callback, eval_str=True)
        for name, parameter in signature.parameters.items():
            kind = getattr(parameter.annotation, "__args__", (None,))
            kinds = {kind[0], *getattr(kind[0], "__args__", ())}
            if int in kinds | {k for one in kinds for k in getattr(one, "__args__", ())}:
                given = next(iter(getattr(parameter.annotation, "__metadata__", ())), None)
                names = [n for n in getattr(given, "param_decls", None) or () if n[:2] == "--"]
                found.append((command.name, names[0] if names else f"--{name.replace('_', '-')}"))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "book.txt").write_text("the cat sat on the mat.\n" * 20)
    small = ["--steps", "1", "--hidden-size", "2"]
    assert main(["train", str(folder / "book.txt"), "-o", str(folder / "run"), *small]) == 0
    return folder


@pytest.mark.parametrize(("verb", "flag"), whole_numbers())
def test_every_whole_number_of_every_command_has_an_upper_bound(
    verb, flag, place, tmp_path, capsys
):
    run, book = str(place / "run"), str(place / "book.txt")
    needs = {
        "--tries": ["--validate", "true"], "--no-copies": ["--training-text", book],
        "--port": ["--host", "127.0.0.1"], "--at": ["--text", "the"], "--unit": ["--text", "the"],
        "--streams": ["--adapt"], "--samples": ["the ___ sat"],
    }  # fmt: skip
    if verb in ("evaluate", "generate", "score") and flag in ("--workers", "--retries"):
        needs[flag] = ["-o", str(tmp_path / "parts"), book]
    given = {
        "train": [book], "tune": [book], "prepare": [book], "recall": [], "fill": [run],
        "generate": [run], "complete": [run], "serve": [run], "compare": [run, run, book],
        "explain": [run], "inspect": [run, "--png", str(tmp_path / "x.png"), "--text", "the"],
        "compress": [book],
    }.get(verb, [run, book])  # fmt: skip
    if verb in ("train", "tune", "prepare", "compress"):
        given = [*given, "-o", str(tmp_path / "new")]
    if verb == "fill" and flag != "--samples":
        given = [*given, "the ___ sat"]
    if verb == "explain" and not needs.get(flag):
        given = [*given, "--text", "the"]
    words = [*given, *needs.get(flag, ())]
    if verb == "copied":
        pytest.importorskip("pydivsufsort", reason="needs an extra")
    if verb == "tune":
        pytest.importorskip("optuna", reason="needs an extra")
    capsys.readouterr()
    assert main([verb, *words, flag, str(10**30)]) in (1, 2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"charloom: {flag}"), last
    assert list(tmp_path.iterdir()) == []


# What is as large as what it says of itself, or comes along with charloom.
READ_AS_A_WHOLE = {
    "model/compression/compress.py": 2,  # the file that is compressed, and a model of ours
    "model/compression/archive.py": 1,  # after its first bytes are those of an archive
    "export/keras.py": 1,  # what Keras has just made
    "serving/offline/page.py": 1,  # the page's own files
    "serving/page_api.py": 1,
}


def test_no_file_is_read_without_a_bound():
    source = Path(charloom.__file__).parent
    for file in source.rglob("*.py"):
        unbounded = [
            call
            for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in ("read", "read_bytes", "read_text")
            and not call.args
            and not ast.unparse(call.func).startswith("self.")  # none of which is a file
        ]
        name = str(file.relative_to(source))
        assert len(unbounded) == READ_AS_A_WHOLE.get(name, 0), name


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="has no device without an end")
@pytest.mark.parametrize(
    "command",
    [
        "train BOOK -o new --config ENDLESS", "info ENDLESS", "decompress ENDLESS -o new",
        "compress ENDLESS -o new", "evaluate MODEL ENDLESS", "generate MODEL --state ENDLESS",
        "generate MODEL --prompt-file ENDLESS", "import MODEL --characters ENDLESS -o new",
        "import ENDLESS.safetensors -o new", "import ENDLESS.keras -o new",
    ],
)  # fmt: skip
def test_a_file_without_an_end_is_refused(command, model, tmp_path, monkeypatch, capsys):
    if ".keras" in command:
        pytest.importorskip("h5py", reason="needs an extra")
    monkeypatch.chdir(tmp_path)
    model.save("m.safetensors")
    Path("book.txt").write_text("the cat sat on the mat. " * 20)
    for name in ("endless", "endless.safetensors", "endless.keras"):
        Path(name).symlink_to("/dev/zero")
    for word, name in (("MODEL", "m.safetensors"), ("BOOK", "book.txt"), ("ENDLESS", "endless")):
        command = command.replace(word, name)
    assert main(command.split()) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "endless" in line
    assert not Path("new").exists()


def test_pydantics_own_errors_never_come_through():
    for settings in CLASSES:
        for name in settings.model_fields:
            for value in (object(), [], {}, "x" * 10, None, b"\xff"):
                try:
                    settings(**{name: value})
                except SettingsError:
                    pass
                except ValidationError:
                    pytest.fail(f"{settings.__name__}.{name}")


def taking_settings() -> list[tuple[Any, str]]:
    """Every public function, and method of a model, that takes settings, and its argument."""
    found = []
    for owner in (charloom, Model):
        for name in dir(owner):
            act = getattr(owner, name)
            if name[0] != "_" and (inspect.isfunction(act) or inspect.ismethod(act)):
                given = inspect.signature(act).parameters.values()
                found += [(act, p.name) for p in given if "Settings" in str(p.annotation)]
    return found


@pytest.mark.parametrize(
    ("act", "name"), taking_settings(), ids=lambda v: getattr(v, "__name__", v)
)
def test_settings_of_another_kind_are_refused_where_they_are_given(act, name, model, tmp_path):
    texts = {
        p.name: model if p.name in ("model", "self") else model.vocabulary
        if p.name == "vocabulary" else "score" if p.name == "verb" else tmp_path / "a"
        for p in inspect.signature(act).parameters.values()
        if p.default is p.empty and p.name != name and p.kind is not p.VAR_KEYWORD
    }  # fmt: skip
    (tmp_path / "a").write_text("the cat sat on the mat. " * 9, encoding="utf-8")
    for wrong in ({"steps": 3}, "native", AmountSettings(length=3)):
        with pytest.raises(SettingsError, match=rf"^{name}: .* it must be \w+Settings\(\.\.\.\)$"):
            act(**texts, **{name: wrong})


def test_what_is_no_whole_number_is_told(model):
    for wrong in (1.5, "3", None, [3]):
        for name, act in (
            ("n", lambda n: model.fill("the ___ sat", n=n)),
            ("samples", lambda n: model.fill("the ___ sat", samples=n)),
            ("n", lambda n: model.complete("the", n=n)),
            ("tries", lambda n: model.generate_checked(bool, tries=n)),
            ("port", lambda n: charloom.serve(model, port=n)),
        ):
            with pytest.raises(SettingsError, match=f"^{name}: .* it must be a whole number$"):
                act(wrong)
    assert len(model.fill("the ___ sat", n=np.int64(2), samples=9)) == 2


def test_what_is_no_rule_text_or_vocabulary_is_told(model):
    for act, told in (
        (lambda: model.generate(rule="a+"), r"^rule: 'a\+' was given; it must be Pattern"),
        (lambda: model.generate_many(count=1, rule=3), "^rule: 3 was given"),
        (lambda: charloom.Both(charloom.Pattern("a"), "b"), "^rule: 'b' was given"),
        (lambda: charloom.Pattern(b"a"), "^pattern: b'a' was given; it must be a str"),
        (lambda: charloom.Grammar(5), "^grammar: 5 was given; it must be a str"),
        (lambda: charloom.NoCopies("book", 3), "^index: 'book' was given; it must be CopyIndex"),
        (lambda: model.generate(rule=charloom.JsonSchema({1, 2})), "^json_schema: it is no JSON"),
        (lambda: Model.untrained(ModelSettings(), "abc"), "^vocabulary: str was given"),
        (lambda: InMemory(5), "^int was given as a text"),
        (lambda: model.evaluate(None), "^NoneType was given as a text"),
        (lambda: model.trace(3), "^int was given as a text"),
    ):
        with pytest.raises(CharloomError, match=told):
            act()


def taking_models() -> list[tuple[Any, str]]:
    """Every public function that takes a model, and its argument."""
    found = []
    for name in dir(charloom):
        act = getattr(charloom, name)
        if inspect.isfunction(act):
            given = inspect.signature(act).parameters.values()
            found += [(act, p.name) for p in given if re.match(r"Model\b", str(p.annotation))]
    return found


@pytest.mark.parametrize(("act", "name"), taking_models(), ids=lambda v: getattr(v, "__name__", v))
def test_the_name_of_a_file_is_refused_where_a_model_is_taken(act, name, model, tmp_path):
    needed = inspect.signature(act).parameters.values()
    others = {
        p.name: model if p.name in ("model", "a", "b") else tmp_path / "a"
        for p in needed
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    with pytest.raises(SettingsError, match=rf"^{name}: 'book.run' was given; it must be a Model "):
        act(**{**others, name: "book.run"})
