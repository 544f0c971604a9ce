"""First names in three languages from one model, which also says what language a name is from.

    pip install charloom faker
    python examples/recipes/names.py

Each line of the text is a language and a name, such as "de Annegret". After the prompt "de " the
model generates German names; and by Bayes' rule the language of a name is the one with which its
line is the least surprising. The model is kept in names.run.
"""

from __future__ import annotations

import random
import sys
from importlib import import_module
from pathlib import Path

import charloom

LANGUAGES = {"de": "de_DE", "es": "es_ES", "tr": "tr_TR"}


def names() -> dict[str, list[str]]:
    """The first names that faker has for each language."""
    found = {}
    for language, locale in LANGUAGES.items():
        provider = import_module(f"faker.providers.person.{locale}").Provider
        found[language] = sorted(set(provider.first_names))
    return found


def lines(pairs: list[tuple[str, str]]) -> str:
    """A line for each language and name."""
    return "".join(f"{language} {name}\n" for language, name in pairs)


def trained(text: str, held_out: str, small: bool) -> charloom.Model:
    """The model in names.run, trained first if it is not there; a toy if small."""
    if not small and Path("names.run").exists():
        return charloom.Model.load("names.run")
    size = 32 if small else 128
    length = {"steps": 100} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        validation=charloom.InMemory(held_out),
        output=None if small else "names.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="lines", **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def language_of(model: charloom.Model, names: list[str]) -> list[str]:
    """The likeliest language of each name."""
    nats = {}
    for language in LANGUAGES:
        text = lines([(language, name) for name in names])
        nats[language] = [part.nats for part in model.score(text, by="line")]
    return [min(LANGUAGES, key=lambda one: nats[one][n]) for n in range(len(names))]


def main(small: bool = False) -> None:
    """Train, generate, and measure both."""
    pairs = [(language, name) for language, all_of in names().items() for name in all_of]
    random.Random(1).shuffle(pairs)
    held_out, training = pairs[: len(pairs) // 10], pairs[len(pairs) // 10 :]
    model = trained(lines(training), lines(held_out), small)

    known, unseen = set(training), set(held_out)
    for language in LANGUAGES:
        drawn = model.generate_many(f"{language} ", count=50 if small else 1000, length=30, seed=1)
        made = {(language, name) for name in drawn}
        new, all_unseen = sorted(made - known), sum(pair[0] == language for pair in unseen)
        print(
            f"{language}: {len(made)} different names, {len(new) / len(made):.0%} of them new; ",
            end="",
        )
        print(f"{len(made & unseen)} of {all_unseen} held out found")
        shown = random.Random(2).sample(new, min(12, len(new)))
        print("    " + ", ".join(name for _, name in shown))

    found = language_of(model, [name for _, name in held_out])
    right = sum(guess == language for guess, (language, _) in zip(found, held_out, strict=True))
    print(f"the language of {right / len(held_out):.0%} of {len(held_out)} held-out names is right")


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
