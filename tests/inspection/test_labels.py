"""Labels: what can be named at each place of a text, as numbers."""

from __future__ import annotations

from charloom.inspection.units.labels import labels


def test_labels_are_what_their_names_say():
    text = 'No (a [b] c) "Hi  4"\nit'
    found = {name: values.astype(int).tolist() for name, values in labels(text).items()}
    assert found["bracket depth"] == [*[0] * 3, 1, 1, 1, 2, 2, 1, 1, 1, *[0] * 12]
    assert found["inside brackets"] == [*[0] * 3, *[1] * 8, *[0] * 12]
    assert found["inside quotes"] == [*[0] * 13, *[1] * 6, *[0] * 4]
    assert found["position in the line"][:3] == [1, 2, 3]
    assert found["position in the line"][-3:] == [0, 1, 2]
    assert found["position in the word"] == [
        *(1, 2, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0),
        *(1, 2, 0, 0, 1, 0, 0, 1, 2),
    ]
    assert found["since the last space"][:5] == [1, 2, 0, 1, 2]
    assert found["a capital"] == [1, *[0] * 13, 1, *[0] * 8]
    assert sum(found["a digit"]) == 1
    assert [n for n, one in enumerate(found["starts a line"]) if one] == [0, 21]
    assert found["next is a capital"][13] == 1
    assert found["next is '\\n'"][19] == 1
    assert found["next is a vowel"][0] == 1


def test_quotes_close_at_a_new_paragraph_and_curly_ones_know_their_side():
    assert labels('"a\n\nb')["inside quotes"].tolist() == [1, 1, 1, 0, 0]
    assert labels("a“b”c")["inside quotes"].tolist() == [0, 1, 1, 0, 0]
