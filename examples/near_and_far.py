"""Near and far: a country stands in a line, and later the language has to be named.

Lines such as "I live in France. I speak French." are made by the thousand, with up to four
remarks between the country and the language, and after another country that does not
matter. Three networks are trained on the same lines: an LSTM, a plain RNN with as many units
and a plain RNN with about as many weights, each with the better of the same two learning
rates. Then all are asked for the language in new lines, with up to eight remarks between.

Run it with `python examples/near_and_far.py`; it takes a minute or two on two idle cores. The
number of training steps may be given, 2,000 by default.
"""

import random
import sys

import charloom

LANGUAGES = {
    "France": "French",
    "Germany": "German",
    "India": "Hindi",
    "Italy": "Italian",
    "Japan": "Japanese",
    "Korea": "Korean",
    "Portugal": "Portuguese",
    "Spain": "Spanish",
}
REMARKS = ["It is late.", "It rains.", "I am old.", "We are two.", "I like tea.", "Birds sing."]
RATES = (0.01, 0.003)


def line(dice: random.Random, remarks: int) -> str:
    """A line with so many remarks between the country and the language."""
    before, now = dice.sample(sorted(LANGUAGES), 2)
    between = "".join(dice.choice(REMARKS) + " " for _ in range(remarks))
    return f"I worked in {before}. I live in {now}. {between}I speak {LANGUAGES[now]}."


def share_of_right_answers(model: charloom.Model, lines: list[str]) -> float:
    """How often the first letter of the right language is the most likely one.

    The eight languages begin with eight different letters.
    """
    parts = list(model.score("\n".join(lines) + "\n", by="character"))
    right, start = 0, 0
    for text in lines:
        answer = start + text.rindex("I speak ") + len("I speak ")
        right += parts[answer].rank == 1
        start += len(text) + 1
    return right / len(lines)


def trained(settings: charloom.ModelSettings, text: str, steps: int) -> charloom.Model:
    """The better of two runs, judged on held-out lines."""
    runs = []
    for rate in RATES:
        print(f"training: {settings.cell.upper()}, rate {rate} ...", file=sys.stderr, flush=True)
        training = charloom.TrainingSettings(
            batches="lines", sequence_length=256, steps=steps, learning_rate=rate, dropout=0
        )
        run = charloom.train(charloom.InMemory(text), model=settings, training=training)
        model = run.finish()
        runs.append((run.best.bits_per_character, rate, model))
    _, rate, model = min(runs, key=lambda one: one[0])
    print(
        f"{settings.cell.upper()}, {settings.hidden_size} units, {model.parameters:,} weights, "
        f"learning rate {rate}",
        flush=True,
    )
    return model


def main(steps: int = 2000) -> None:
    """Train the three networks, and ask them at growing distances."""
    dice = random.Random(0)
    text = "".join(line(dice, int(5 * dice.random() ** 2)) + "\n" for _ in range(20_000))
    questions = {n: [line(dice, n) for _ in range(400)] for n in (0, 1, 2, 4, 8)}
    for settings in (
        charloom.ModelSettings(cell="lstm", hidden_size=64, num_layers=1),
        charloom.ModelSettings(cell="rnn", hidden_size=64, num_layers=1),
        charloom.ModelSettings(cell="rnn", hidden_size=136, num_layers=1),
    ):
        model = trained(settings, text, steps)
        for remarks, lines in questions.items():
            share = share_of_right_answers(model, lines)
            between = f"{remarks} remark{'' if remarks == 1 else 's'} between"
            print(f"  {between:18} {share:4.0%}  {'█' * round(40 * share)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
