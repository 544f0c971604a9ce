"""Passwords: how many guesses it takes to find one, by a model of passwords that leaked.

    pip install charloom zxcvbn
    python examples/recipes/passwords.py [PASSWORD ...]

Who guesses begins with the likeliest. The guess number of a password is how many are likelier to
the model; it is estimated from a sample of the model's own passwords, each standing for the
1 / (n p) that are as likely (Dell'Amico and Filippone, "Monte Carlo Strength Evaluation", CCS
2015). The text is 30,000 common passwords, from zxcvbn; a tenth is held out. They are in lower
case, and so is every password that is asked for. The model is kept in passwords.run.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import numpy as np

import charloom


def common() -> list[str]:
    """The list of common passwords that zxcvbn comes with."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return list(FREQUENCY_LISTS["passwords"])


def nats(model: charloom.Model, passwords: list[str]) -> np.ndarray:
    """(N,) -ln of the probability of each password, its end included."""
    text = "".join(f"{password}\n" for password in passwords)
    return np.array([part.nats for part in model.score(text, by="line")])


class Strength:
    """Guess numbers by a model, from a sample of what it generates."""

    def __init__(self, model: charloom.Model, count: int = 20_000, seed: int = 1) -> None:
        """Draw the sample, and sort it by probability."""
        drawn = model.generate_many(count=count, length=64, seed=seed)
        self.model = model
        self.nats = np.sort(nats(model, drawn))  # the likeliest first
        self.guesses = np.cumsum(np.exp(self.nats)) / count

    def __call__(self, passwords: list[str]) -> np.ndarray:
        """(N,) how many guesses are made before each password."""
        likelier = np.searchsorted(self.nats, nats(self.model, passwords))  # (N,) of the sample
        return np.concatenate([[0.0], self.guesses])[likelier]


def trained(text: str, held_out: str, small: bool) -> charloom.Model:
    """The model in passwords.run, trained first if it is not there; a toy if small."""
    if not small and Path("passwords.run").exists():
        return charloom.Model.load("passwords.run")
    size = 32 if small else 128
    length = {"steps": 100} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        validation=charloom.InMemory(held_out),
        output=None if small else "passwords.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="lines", **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


EXAMPLES = ("monkey12", "ilovepizza", "sommer2026", "tr0ub4dor3", "kx7qzmw2p4")


def main(passwords: list[str] | None = None, small: bool = False) -> None:
    """Train; count the guesses for passwords held out, random ones and some of your own."""
    import zxcvbn

    dice, known = random.Random(1), common()[: 3000 if small else None]
    dice.shuffle(known)
    held_out, training = known[: len(known) // 10], known[len(known) // 10 :]
    letters = sorted(set("".join(training)))
    held_out = [password for password in held_out if set(password) <= set(letters)]
    texts = ["".join(f"{password}\n" for password in part) for part in (training, held_out)]
    model = trained(*texts, small)
    strength = Strength(model, 1000 if small else 20_000)

    blind = ["".join(dice.choices(letters, k=len(password))) for password in held_out]
    by_model, by_chance = strength(held_out), strength(blind)
    print(f"found within     {len(held_out)} common ones, held out     as many random ones as long")
    for power in (3, 4, 6, 8, 10, 12):
        shares = [(found < 10**power).mean() for found in (by_model, by_chance)]
        print(f"10^{power:<2} guesses {shares[0]:20.1%} {shares[1]:30.1%}")
    print("password                 guesses by the model   by zxcvbn")
    for password in passwords or EXAMPLES:
        mine = max(float(strength([password.lower()])[0]), 1.0)
        theirs = float(zxcvbn.zxcvbn(password.lower())["guesses"])
        print(f"    {password:20} {math.log10(mine):10.1f} {math.log10(theirs):20.1f}")
    print("as powers of ten; more than the model can tell apart is a lower bound:", end=" ")
    print(f"10^{math.log10(strength.guesses[-1]):.1f}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main([one for one in given if one != "--small"], small="--small" in given)
