"""What commands print: columns, JSON that is safe on a terminal, counts with their nouns."""

from __future__ import annotations

import json

import charloom
from charloom.cli import arguments, inspection, live, model, training
from charloom.cli.formatting import as_json, columns, total, written


def test_a_score_is_printed_with_all_that_follows_from_it():
    score = charloom.Score(nats=2.0, characters=2, utf8_bytes=4)
    assert total(score)["nats_per_character"] == 1.0
    assert total(score)["bits_per_byte"] == total(score)["bits_per_character"] / 2


WITH = {"precision": "float32", "kernels": "reference"}


def test_parts_of_a_text_are_joined_in_every_form():
    part = charloom.Part(text="\x1b", start=0, nats=1.0, rank=1, unknown_characters=1)
    assert "\\x1b  (1 unknown)" in "".join(written([part], "table", WITH))
    assert json.loads("".join(written([part, part], "json", WITH)))["total"]["characters"] == 2
    first, last = "".join(written([part], "jsonl", WITH)).splitlines()
    assert json.loads(first)["rank"] == 1
    assert json.loads(last)["total"]["nats"] == 1.0
    assert json.loads(last)["total"]["precision"] == "float32"


def test_json_has_no_character_that_a_terminal_would_act_on():
    text = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xE9, 0x4E00]))
    shown = as_json({"text": text})
    assert json.loads(shown) == {"text": text}
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert "é一" in shown


def test_columns_show_a_tree_with_dots():
    assert columns({"a": {"b": 1000, "c": [1]}, "d": False}) == "a.b  1,000\na.c  [1]\nd    no"


def test_counts_have_the_right_number_of_nouns():
    run = charloom.train(
        charloom.InMemory("the cat sat on the mat. " * 20),
        model=charloom.ModelSettings(hidden_size=4, num_layers=1),
        training=charloom.TrainingSettings(steps=1),
    )
    assert "with 1 layer of 4" in live.opening(run, "a.run")


def test_modules_of_commands_have_what_help_lists():
    assert callable(arguments.path)
    for module, names in (
        (model, ("generate", "evaluate", "score", "info")),
        (inspection, ("serve", "inspect", "explain", "units", "context", "recall")),
        (training, ("train", "plot", "export_log")),
    ):
        for name in names:
            assert getattr(module, name).__doc__
