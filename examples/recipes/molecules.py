"""Molecules as SMILES, and a model moved towards a property by choosing among its own.

    pip install charloom rdkit
    python examples/recipes/molecules.py

A model of 50,000 drug-like molecules draws some thousands; those that are valid, new and best by
QED (a number from 0 to 1 for how much a molecule is like a drug) are what the next model is
trained on, from the weights of the one before. The models are kept in molecules.run,
molecules-1.run and so on; `charloom train chosen.smi --from molecules.run` does one round.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import charloom


def moses(count: int = 50_000) -> list[str]:
    """Molecules of the benchmark MOSES, from a package that is downloaded and not installed."""
    package = "molsets==0.3.1"
    if not (files := list(Path().glob("molsets-0.3.1-*.whl"))):
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
        subprocess.run(fetch, check=True)
        files = list(Path().glob("molsets-0.3.1-*.whl"))
    with zipfile.ZipFile(files[0]) as archive:
        table = gzip.decompress(archive.read("moses/dataset/data/train.csv.gz")).decode()
    return [row.partition(",")[0] for row in table.splitlines()[1 : count + 1]]


def canonical(smiles: str) -> str | None:
    """The one form of a molecule that is valid, else None."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles) if smiles else None
    return None if molecule is None else Chem.MolToSmiles(molecule)


def qed(smiles: str) -> float:
    """The quantitative estimate of drug-likeness of a valid molecule."""
    from rdkit import Chem
    from rdkit.Chem import QED

    return QED.qed(Chem.MolFromSmiles(smiles))


def trained(
    lines: list[str], folder: str, small: bool, start_from: charloom.Model | None = None
) -> charloom.Model:
    """The model in a folder, trained first if it is not there; a toy if small."""
    if not small and Path(folder).exists():
        return charloom.Model.load(folder)
    network = {} if start_from else {"hidden_size": 64 if small else 192, "num_layers": 1}
    length = {"epochs": 2} if start_from else {"steps": 150} if small else {}
    run = charloom.train(
        charloom.InMemory("\n".join(lines) + "\n"),
        output=None if small else folder,
        model=charloom.ModelSettings(**network),
        training=charloom.TrainingSettings(batches="lines", **length),
        start_from=start_from,
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def main(lines: list[str] | None = None, small: bool = False, rounds: int = 3) -> None:
    """Train; then draw, choose and train again."""
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")  # it would report each molecule that is not valid
    lines = lines or moses(2000 if small else 50_000)
    known = set(map(canonical, lines))
    before = [qed(one) for one in lines[:1000]]
    print(f"{len(lines):,} molecules, mean QED {sum(before) / len(before):.3f}")

    model, pool = trained(lines, "molecules.run", small), {}
    for number in range(rounds + 1):
        drawn = model.generate_many(count=200 if small else 5000, length=120, seed=number)
        valid = [one for one in map(canonical, drawn) if one]
        new = set(valid) - known
        scores = {one: qed(one) for one in new}
        mean = sum(scores.values()) / max(len(scores), 1)
        print(f"round {number}: {len(valid) / len(drawn):.1%} valid, ", end="")
        print(f"{len(set(valid)) / max(len(valid), 1):.1%} of these different, ", end="")
        print(f"{len(new) / max(len(set(valid)), 1):.1%} of those new, mean QED {mean:.3f}")
        for one in sorted(scores, key=scores.__getitem__)[-3:]:
            print(f"    {scores[one]:.3f}  {one}")
        pool |= scores
        best = sorted(pool, key=pool.__getitem__)[-(20 if small else 2000) :]
        if number < rounds and best:
            model = trained(best, f"molecules-{number + 1}.run", small, start_from=model)


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
