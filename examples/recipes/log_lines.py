"""Log lines: a model that learns a server's log writes test data, and finds lines that are wrong.

    pip install charloom
    python examples/recipes/log_lines.py

The log is made here, so that every rule that its lines obey is known and can be checked: which
paths exist and how large each is, who may be where, which status has no size. The model is kept in
log.run.
"""

from __future__ import annotations

import random
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

import charloom

PAGES = {"/": 5120, "/about.html": 2204, "/style.css": 911, "/logo.png": 20480, "/news.html": 7733}
USERS = {"ada": "10.0.0.7", "grace": "10.0.0.12", "linus": "10.0.1.3"}
LINE = re.compile(r'(\S+) - (\S+) \[(.+?)\] "(GET|POST|HEAD) (\S+) HTTP/1\.1" (\d{3}) (\d+|-)')


def log(count: int, seed: int) -> list[str]:
    """Lines of a web server's access log, in the common format."""
    dice, now, found = random.Random(seed), datetime(2026, 3, 1, 6, 0), []
    for _ in range(count):
        now += timedelta(seconds=dice.expovariate(1 / 20))
        user = dice.choice(["-", "-", "-", *USERS])
        address = USERS.get(user) or f"192.168.{dice.randrange(4)}.{dice.randrange(1, 255)}"
        path, method, status = dice.choice(list(PAGES)), "GET", 200
        size = str(PAGES[path])
        kind = dice.random()
        if kind < 0.2:
            status, size = 304, "-"
        elif kind < 0.3:
            path, status, size = f"/old/{dice.randrange(100)}.html", 404, "153"
        elif kind < 0.4 and user != "-":
            path, method, status, size = "/admin/save", "POST", 302, "-"
        elif kind < 0.5:
            method, size = "HEAD", "-"
        when = now.strftime("%d/%b/%Y:%H:%M:%S +0000")
        found.append(f'{address} - {user} [{when}] "{method} {path} HTTP/1.1" {status} {size}')
    return found


def answers(path: str, user: str) -> set[tuple[str, str, str]]:
    """The methods, statuses and sizes that can stand with a path."""
    if path in PAGES:
        return {("GET", "200", str(PAGES[path])), ("GET", "304", "-"), ("HEAD", "200", "-")}
    if re.fullmatch(r"/old/[1-9]?\d\.html", path):
        return {("GET", "404", "153")}
    return {("POST", "302", "-")} if path == "/admin/save" and user != "-" else set()


def wrong(line: str) -> str | None:
    """The first rule that a line breaks, else None."""
    if not (match := LINE.fullmatch(line)):
        return "form"
    address, user, when, method, path, status, size = match.groups()
    if USERS.get(user, address) != address or (user == "-") != address.startswith("192.168."):
        return "address"
    try:
        if not all(0 <= int(part) <= 255 for part in address.split(".")):
            return "address"
        datetime.strptime(when, "%d/%b/%Y:%H:%M:%S +0000")
    except ValueError:
        return "time"
    right = (method, status, size) in answers(path, user)
    return None if right else "path, method, status or size"


def damaged(line: str, dice: random.Random) -> str:
    """A line with one fault: another size, another user's address, or two characters swapped."""
    kind, at = dice.randrange(3), dice.randrange(len(line) - 1)
    if kind == 0:
        return f"{line.rpartition(' ')[0]} {dice.randrange(100, 30000)}"
    if kind == 1:
        return f"{dice.choice(list(USERS.values()))} {line.partition(' ')[2]}"
    return line[:at] + line[at + 1] + line[at] + line[at + 2 :]


def trained(text: str, small: bool) -> charloom.Model:
    """The model in log.run, trained first if it is not there; a toy if small."""
    if not small and Path("log.run").exists():
        return charloom.Model.load("log.run")
    size = 48 if small else 128
    length = {"steps": 150} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        output=None if small else "log.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="lines", **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def main(small: bool = False) -> None:
    """Train; check lines that the model generates; rank fresh lines, some of them damaged."""
    model = trained("\n".join(log(500 if small else 5000, seed=0)) + "\n", small)
    made = model.generate_many(count=50 if small else 2000, length=200, seed=1)
    faults = [fault for line in made if (fault := wrong(line))]
    print(f"{1 - len(faults) / len(made):.1%} of {len(made)} generated lines keep every rule")
    for fault in sorted(set(faults)):
        print(f"    {faults.count(fault)} break the rule of {fault}")
    print("".join(f"    {line}\n" for line in made[:5]), end="")

    dice, fresh = random.Random(3), log(200 if small else 5000, seed=4)
    damage = {n: damaged(fresh[n], dice) for n in dice.sample(range(len(fresh)), 20)}
    damage = {n: line for n, line in damage.items() if wrong(line)}
    lines = [damage.get(n, line) for n, line in enumerate(fresh)]
    bits = [part.bits for part in model.score("\n".join(lines) + "\n", by="line")]
    order = sorted(range(len(lines)), key=bits.__getitem__, reverse=True)
    found = len(damage.keys() & set(order[: len(damage)]))
    print(f"{found} of {len(damage)} damaged lines are the most surprising of {len(lines)}")
    print("".join(f"    {bits[n]:.0f} bits  {lines[n]}\n" for n in order[:3]), end="")


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
