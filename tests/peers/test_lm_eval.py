"""lm-evaluation-harness scores tasks of its own through `charloom serve`, without any setting.

It asks for the ids of characters, so that its contexts and continuations are cut where ours are.
It is large (some 400 MB beyond the other peers), so it is no part of `make peers`:
pip install 'charloom[lm-eval]' brings it, and without it this file is skipped.
"""

from __future__ import annotations

import json
import math

import pytest
from serving_tools import served, small_model

lm_eval = pytest.importorskip(
    "lm_eval", reason="lm-evaluation-harness is not here: pip install 'charloom[lm-eval]'"
)
from lm_eval.tasks import TaskManager  # noqa: E402

pytest.importorskip("tenacity", reason="lm-eval lacks its API part: pip install 'lm-eval[api]'")

QUESTIONS = [
    ("the Fox saw a ", ["Crow", "wood", "tree"]),
    ("on the limb of a ", ["tree", "Fox", "Good day"]),
    ("One bright ", ["morning", "bite", "he saw"]),
    ("in search of a ", ["nose", "bite to eat", "Crow"]),
]


@pytest.fixture
def data(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    file = tmp_path / "questions.jsonl"
    rows = [{"context": c, "choices": choices, "answer": 0} for c, choices in QUESTIONS]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(file)


def task(name: str, data: str, **config) -> dict:
    files = {"data_files": {"test": data}}
    return {"task": name, "dataset_path": "json", "dataset_kwargs": files, "test_split": "test",
            "doc_to_text": "{{context}}", "target_delimiter": "", **config}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lines", [False, True])
def test_its_scores_are_those_of_the_model(lines, data):
    model = small_model(lines=lines)
    choice = task(
        "choice", data, output_type="multiple_choice", doc_to_choice="choices",
        doc_to_target="answer", metric_list=[{"metric": "acc"}],
    )  # fmt: skip
    rolling = task(
        "rolling", data, output_type="loglikelihood_rolling", doc_to_target="{{context}}",
        metric_list=[{"metric": "byte_perplexity"}],
    )  # fmt: skip
    continued = task(
        "continued", data, output_type="generate_until", doc_to_target="{{choices[0]}}",
        generation_kwargs={"until": ["xyz"], "max_gen_toks": 30},
        metric_list=[{"metric": "exact_match"}],
    )  # fmt: skip
    with served(model) as page:
        found = lm_eval.simple_evaluate(
            model="local-completions",
            model_args={"model": "model", "base_url": f"{page.address}v1/completions"},
            tasks=[choice, rolling, continued],
            task_manager=TaskManager(include_defaults=False),  # of which there are thousands
            bootstrap_iters=0,
            log_samples=True,
        )

    def nats(context: str, continuation: str) -> list:
        parts = list(model.score(context + continuation))
        return parts[len(context) : len(context + continuation)]

    for sample in found["samples"]["choice"]:
        context, choices = sample["doc"]["context"], sample["doc"]["choices"]
        for choice, answers in zip(choices, sample["filtered_resps"], strict=True):
            before = context.rstrip()  # it counts the space to the continuation
            parts = nats(before, context[len(before) :] + choice)
            assert float(answers[0]) == pytest.approx(-sum(p.nats for p in parts), abs=1e-4)
            assert str(answers[1]) == str(all(part.rank == 1 for part in parts))
    for sample in found["samples"]["continued"]:
        text = "".join(model.generate(sample["doc"]["context"], length=30, temperature=0))
        assert sample["filtered_resps"][0] == text.partition("\n")[0]
    total = sum(part.nats for context, _ in QUESTIONS for part in nats("\n", context))
    letters = sum(len(context.encode()) for context, _ in QUESTIONS)
    perplexity = found["results"]["rolling"]["byte_perplexity,none"]
    assert perplexity == pytest.approx(math.exp(total / letters), rel=1e-4)
