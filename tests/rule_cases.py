"""Twenty patterns of the kinds that people write, for tests and for the longer campaign."""

PATTERNS = [
    r"\d{3}",
    r"[a-z]+",
    r"(yes|no|perhaps)",
    r"[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8})?",
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?",
    r"[a-z0-9._]+@[a-z0-9]+(\.[a-z]{2,3})+",
    r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)",
    r"#[0-9a-fA-F]{6}",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?",
    r'"([^"\\\n]|\\["\\n])*"',
    r"\[(\d+(, \d+)*)?\]",
    r"[^,\n]{1,10}(,[^,\n]{1,10}){2}",
    r"(?i)the (fox|crow)( and the (fox|crow))*",
    r"(a|b)*abb",
    r"(ab|ba)*",
    r"(ha){1,7}!?",
    r".{0,20}[.!?]",
    r"[a-zé]+(€|ß)\d",
]
