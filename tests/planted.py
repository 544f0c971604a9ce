"""Networks with units made by hand, whose meaning is known, among others of noise.

unit 0  counts brackets: + 1 at "(", - 1 at ")"
unit 1  opens and closes with straight quotes: its own hidden state tells it which
unit 2  remembers the last of the letters A and Z: A puts 1 into it, Z empties it

The texts are such that each of them helps to predict: the deeper in brackets, the more c;
in quotes more b; and after an A, until the next Z, more d.
"""

from __future__ import annotations

import numpy as np

from charloom.engines.weights import initial_weights
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

BRACKETS, QUOTES, SYMBOL = range(3)
REMEMBERED = "A[^Z]*"
VOCABULARY = Vocabulary.of('abcdeAZ()" \n')
FAR = 30.0  # sigmoid(30) is 1 and sigmoid(-30) is 0 in float32, nearly
LETTERS = "abcde "
MARKS = '()"AZ\n'
EFFECT = {"c": (BRACKETS, 8.0), "b": (QUOTES, 3.5), "d": (SYMBOL, 3.5)}
"""What each unit's hidden state adds to the log-odds of a letter."""


def text(characters: int, seed: int) -> str:
    """Letters at random, in which brackets nest, quotes open and close, and A and Z stand."""
    random = np.random.default_rng(seed)
    depth, inside, remembered, made = 0, False, False, []
    for _ in range(characters):
        draw = random.random()
        if draw < 0.04 and depth < 3:
            character, depth = "(", depth + 1
        elif 0.04 <= draw < 0.08 and depth:
            character, depth = ")", depth - 1
        elif 0.08 <= draw < 0.12:
            character, inside = '"', not inside
        elif 0.12 <= draw < 0.15:
            remembered = bool(random.integers(2))
            character = "ZA"[remembered]
        elif 0.15 <= draw < 0.17 and made[-1:] != ["\n"]:  # a new paragraph would end a quote
            character = "\n"
        else:
            hidden = np.tanh([0.3 * depth, inside, remembered])
            odds = [EFFECT[c][1] * hidden[EFFECT[c][0]] if c in EFFECT else 0 for c in LETTERS]
            share = np.exp(odds) / np.exp(odds).sum()
            character = LETTERS[random.choice(len(LETTERS), p=share)]
        made.append(character)
    return "".join(made)


def model(hidden_size: int = 12, seed: int = 0, *, heard: bool = True) -> Model:
    """A network of one layer with the three units and noise; `heard`: its head reads them."""
    settings = ModelSettings(hidden_size=hidden_size, num_layers=1)
    weights = initial_weights(settings, VOCABULARY.size, seed, first_values="keras")
    i, f, g, o = (weights["lstm.weight_ih_l0"][k * hidden_size :] for k in range(4))
    bias_i, bias_f, bias_g, bias_o = (weights["lstm.bias_l0"][k * hidden_size :] for k in range(4))
    at = VOCABULARY.mapping
    for unit in (BRACKETS, QUOTES, SYMBOL):
        for rows in (i, f, g, o):
            rows[unit] = 0
        for k in range(4):
            weights["lstm.weight_hh_l0"][k * hidden_size + unit] = 0
        bias_i[unit], bias_f[unit], bias_g[unit], bias_o[unit] = -FAR, FAR, 0, FAR

    i[BRACKETS, at["("]] = i[BRACKETS, at[")"]] = 2 * FAR
    g[BRACKETS, at["("]], g[BRACKETS, at[")"]] = 0.3, -0.3

    i[QUOTES, at['"']] = 2 * FAR
    weights["lstm.weight_hh_l0"][QUOTES, QUOTES] = -4 * FAR  # shut while it says yes
    f[QUOTES, at['"']] = -2 * FAR
    g[QUOTES, at['"']] = FAR

    i[SYMBOL, at["A"]] = 2 * FAR
    f[SYMBOL, at["A"]] = f[SYMBOL, at["Z"]] = -2 * FAR
    g[SYMBOL, at["A"]] = FAR

    head, bias = weights["head.weight"], weights["head.bias"]
    head *= 0.1
    head[:, [BRACKETS, QUOTES, SYMBOL]] = 0
    for mark in MARKS:
        bias[at[mark]] = -2.0
    for letter, (unit, effect) in EFFECT.items():
        head[at[letter], unit] = effect * heard
    return Model(settings, VOCABULARY, weights, precision="float32", threads=1)
