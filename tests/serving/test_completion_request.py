"""The parameters of a request, one by one, and together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_tools import small_model

from charloom.errors import CharloomError
from charloom.serving import guard
from charloom.serving.completion_request import (
    CompletionSettings,
    check_size,
    prompts_of,
    settings_of,
)
from charloom.settings import SamplingSettings

MODEL = small_model()
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(SIMPLE, lambda v: st.lists(v, max_size=3), max_leaves=5)
NAMES = [*CompletionSettings.model_fields, "prompt", "best_of", "suffix", "logit_bias", "user", "x"]


def test_what_is_not_given_is_openais_default_or_a_new_seed():
    first, second = settings_of({}), settings_of({"seed": None})
    assert (first.max_tokens, first.n, first.temperature, first.top_p) == (16, 1, 1.0, 1.0)
    assert first.seed != second.seed


def test_sampling_takes_the_four_that_decide_what_is_drawn():
    given = {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "seed": 7}
    assert settings_of({**given, "n": 2}).sampling == SamplingSettings(**given)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
def test_any_json_is_taken_or_refused_with_one_line(body):
    try:
        chosen = settings_of(body)
        check_size(chosen, prompts_of(body, MODEL))
    except CharloomError as error:
        assert "\n" not in str(error)
        return
    assert chosen.n >= 1
    assert chosen.sampling.temperature >= 0


def test_prompts_are_texts_or_ids_alone_or_in_lists():
    assert prompts_of({}, MODEL) == [""]
    assert prompts_of({"prompt": None}, MODEL) == [""]
    assert prompts_of({"prompt": "the"}, MODEL) == ["the"]
    assert prompts_of({"prompt": ["the", "fox"]}, MODEL) == ["the", "fox"]
    (ids,) = prompts_of({"prompt": [1, 2]}, MODEL)
    np.testing.assert_array_equal(ids, [1, 2])
    assert [len(ids) for ids in prompts_of({"prompt": [[1, 2], [3]]}, MODEL)] == [2, 1]


def test_the_bounds_of_one_answer_are_those_that_are_said():
    at_most = guard.GENERATED // 4
    check_size(CompletionSettings(n=4, max_tokens=at_most), ["a"])
    with pytest.raises(guard.RequestError, match="4 x 5,001"):
        check_size(CompletionSettings(n=4, max_tokens=at_most + 1), ["a"])
