"""Tunes in ABC notation: how many a parser reads, how many have full bars, and a score drawn.

    pip install charloom music21 verovio
    python examples/recipes/tunes.py

The tunes are the jigs, reels and hornpipes of O'Neill's *Music of Ireland* (1903) that music21
has. A tune is sound if music21 reads it and every bar is as long as the meter says, but for those
at the ends of a part, which a pickup makes shorter. The model is kept in tunes.run, and the score
of a sound tune in tune.svg.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import charloom

FIELDS = "TMLK"
"""Title, meter, what a note without a number lasts, and key."""


def oneill() -> list[str]:
    """Each tune as four fields and its notes, without chords, comments and other fields."""
    import music21

    folder = Path(music21.__file__).parent / "corpus" / "oneills1850"
    found = []
    for file in sorted(folder.glob("*.abc")):
        if not "08" <= file.name[:2] <= "17":
            continue
        for tune in re.split(r"\n(?=X:)", file.read_text("utf-8", "replace").replace("\r", "")):
            lines = [line.strip() for line in tune.splitlines()]
            head = [re.search(rf"^{name}: *(.*\S)", tune, re.MULTILINE) for name in FIELDS]
            notes = [line for line in lines if line and not re.match(r"\w:|%", line)]
            if all(head) and notes:
                fields = [f"{name}:{field[1]}" for name, field in zip(FIELDS, head, strict=True)]
                text = "\n".join([*fields, *notes]) + "\n"
                found.append(re.sub(r'"[^"]*"', "", text))
    return [tune for tune in found if tune.isascii()]


def sound(tune: str) -> bool:
    """Whether music21 reads a tune, and its bars are full."""
    import music21

    try:
        score = music21.converter.parse(f"X:1\n{tune}", format="abc")
    except Exception:  # it raises errors of many kinds
        return False
    bars = list(score.recurse().getElementsByClass("Measure"))
    for n, bar in enumerate(bars[1:-1], 1):
        at_end = bar.rightBarline or bar.leftBarline or bars[n - 1].rightBarline
        if not at_end and bar.duration.quarterLength != bar.barDuration.quarterLength:
            return False
    return len(bars) >= 8


def draw(tune: str, path: Path) -> None:
    """The score of a tune as an SVG file."""
    import verovio

    toolkit = verovio.toolkit()
    page = {"adjustPageHeight": True, "pageWidth": 2000, "scale": 35, "footer": "none"}
    toolkit.setOptions({"inputFrom": "abc", "svgViewBox": True, **page})
    if not toolkit.loadData(f"X:1\n{tune}"):
        raise ValueError("verovio could not read the tune")
    path.write_text(toolkit.renderToSVG(1), encoding="utf-8")


def trained(text: str, small: bool) -> charloom.Model:
    """The model in tunes.run, trained first if it is not there; a toy if small."""
    if not small and Path("tunes.run").exists():
        return charloom.Model.load("tunes.run")
    size = 48 if small else 192
    length = {"steps": 100} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        output=None if small else "tunes.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="streams", **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def main(small: bool = False) -> None:
    """Train, generate, parse, draw."""
    tunes = oneill()[: 40 if small else None]
    count = 4 if small else 100
    model = trained("\n".join(tunes), small)  # an empty line between two
    options = {"length": 800, "temperature": 0.7, "stop": "\n\n", "seed": 1}
    made = [f"T:{text}\n" for text in model.generate_many("\n\nT:", count=count, **options)]
    good = [tune for tune in made if sound(tune)]
    real = [sound(tune) for tune in tunes[-count:]]
    print(
        f"sound: {sum(real) / len(real):.0%} of {len(real)} of the {len(tunes):,} tunes, ", end=""
    )
    print(f"{len(good) / count:.0%} of {count} by the model")
    copies = {bar for tune in tunes for bar in bars_of(tune)}
    shares = [sum(bar in copies for bar in bars_of(tune)) / len(bars_of(tune)) for tune in good]
    print(f"bars of the sound ones that stand in O'Neill: {sum(shares) / max(len(shares), 1):.0%}")
    if good:
        draw(good[0], Path("tune.svg"))
        print("    " + good[0].replace("\n", "\n    ").rstrip())


def bars_of(tune: str) -> list[str]:
    """The notes of each bar, as they are written."""
    notes = "".join(line for line in tune.splitlines() if not re.match(r"\w:", line))
    return [bar for part in re.split(r"[|:]+", notes) if (bar := part.replace(" ", ""))]


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
