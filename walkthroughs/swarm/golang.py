"""What Go gave the original, and its users got used to reading.

| Go                                      | here                              |
|-----------------------------------------|-----------------------------------|
| `time.ParseDuration`, `Duration.String` | `parse_duration`, `format_duration` |
| `net.SplitHostPort`, `net.JoinHostPort` | `split_host_port`, `join_host_port` |
| `strconv.Quote`, the verb `%q`          | `quote`                           |
| a line of package `log`, of `logrus`    | `log_line`, `logrus_line`         |
| `time.Parse`, `Time.Add`, for RFC 3339  | `unix_time`, `shift_time`         |
| `units.BytesSize`                       | `bytes_size`                      |

A duration is a float of seconds, as everywhere in Python.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign
    "\u03bcs": 1_000,  # the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
LONGEST = 2**63 - 1
"""Nanoseconds: a Go duration is an int64, some 292 years."""

ESCAPES = dict(zip('"\\\a\b\f\n\r\t\v', '"\\abfnrtv', strict=True))
COLORS = {"debug": 37, "info": 36, "warning": 33}


def quote(text: str) -> str:
    """Return a string in double quotes, with Go's escapes."""
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if char in ESCAPES:
        return f"\\{ESCAPES[char]}"
    if char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:
        # A byte that is no UTF-8: Python keeps it as half a surrogate pair.
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _quote_bytes(text: str) -> str:
    """Quote as package `time` does, which knows bytes only."""
    raw = re.sub(r'(["\\])', r"\\\1", text).encode(errors="surrogateescape")
    shown = (chr(b) if 0x20 <= b < 0x80 else f"\\x{b:02x}" for b in raw)
    return '"' + "".join(shown) + '"'


def parse_duration(text: str) -> float:
    """Return seconds for `1m30s`, `500ms`, `-1.5h` or `0`; raise ValueError."""
    shown = _quote_bytes(text)
    invalid = ValueError(f"time: invalid duration {shown}")
    negative, rest = text[:1] == "-", re.sub("^[-+]", "", text)
    if rest == "0":
        return 0.0
    if not rest:
        raise invalid
    total = 0
    while rest:
        part = re.match(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^.0-9]*)", rest)
        if not part or float(part[1]) > LONGEST + 1:
            raise invalid
        number, unit = part.groups()
        if not unit:
            raise ValueError(f"time: missing unit in duration {shown}")
        if unit not in NANOSECONDS:
            unknown = f"time: unknown unit {_quote_bytes(unit)}"
            raise ValueError(f"{unknown} in duration {shown}")
        total += _nanoseconds(number, NANOSECONDS[unit])
        # An int64 reaches one further below zero than above.
        if total > LONGEST + negative:
            raise invalid
        rest = rest[part.end() :]
    return (-total if negative else total) / 1e9


def _nanoseconds(number: str, unit: int) -> int:
    """Return `1.5` units in whole nanoseconds; what is left over is dropped."""
    whole, _, decimals = number.partition(".")
    decimals = decimals[:19]
    if int(decimals or 0) > LONGEST + 1:
        decimals = decimals[:18]
    # Go takes the digits that 64 bits hold, and scales them as a float.
    fraction = int(decimals or 0) * (unit / 10 ** len(decimals))
    return int(Decimal(whole or 0)) * unit + int(fraction)


def format_duration(seconds: float) -> str:
    """Return `1m30s` for 90; below a second the unit is ms, \u00b5s or ns."""
    total = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and total else ""
    if total < NANOSECONDS["s"]:
        units = ("ms", "\u00b5s", "ns")
        unit = next((each for each in units if total >= NANOSECONDS[each]), "s")
        return sign + _decimal(total, NANOSECONDS[unit]) + unit
    minutes, rest = divmod(total, NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return sign + front + _decimal(rest, NANOSECONDS["s"]) + "s"


def _decimal(value: int, unit: int) -> str:
    """Return value / unit in full, without trailing zeros."""
    whole, rest = divmod(value, unit)
    decimals = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def split_host_port(address: str) -> tuple[str, str]:
    """Return the two texts of `host:port` or `[IPv6]:port`; raise ValueError.

    Neither is looked at: an empty host, or a port that is a word, is fine.
    """

    def bad(why: str) -> ValueError:
        return ValueError(f"address {address}: {why}" if address else why)

    host, colon, port = address.rpartition(":")
    after_open = after_close = address
    if not colon:
        raise bad("missing port in address")
    if address[0] == "[":
        after_open = address[1:]
        host, bracket, after_close = after_open.partition("]")
        if not bracket:
            raise bad("missing ']' in address")
        if after_close != f":{port}":
            many = after_close.startswith(":")
            raise bad(("too many colons" if many else "missing port") + " in address")
    elif ":" in host:
        raise bad("too many colons in address")
    if "[" in after_open:
        raise bad("unexpected '[' in address")
    if "]" in after_close:
        raise bad("unexpected ']' in address")
    return host, port


def join_host_port(host: str, port: str) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_addr_format(address: str) -> bool:
    """Tell whether an address has a port from 1 to 65535, as `--advertise` must."""
    try:
        _, port = split_host_port(address)
    except ValueError:
        return False
    digits = re.fullmatch(r"\+?0*([0-9]{1,5})", port)
    return digits is not None and 0 < int(digits[1]) < 65536


def log_line(seconds: float, message: str) -> str:
    """Return a line of Go's package `log`; `seconds` is Unix time."""
    moment = datetime.fromtimestamp(seconds).strftime("%Y/%m/%d %H:%M:%S")
    return f"{moment} {message}\n"


def logrus_line(
    seconds: float, level: str, message: str, fields: Mapping[str, object]
) -> str:
    """Return a line of logrus as it goes into a file or a pipe."""
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    time = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
    pairs = {"time": time, "level": level, "msg": message}
    pairs |= {key: str(fields[key]) for key in sorted(fields)}
    return " ".join(f"{key}={_value(text)}" for key, text in pairs.items()) + "\n"


def logrus_colors(
    elapsed: float, level: str, message: str, fields: Mapping[str, object]
) -> str:
    """Return a line of logrus as a terminal shows it, `elapsed` seconds after start."""
    color = f"\x1b[{COLORS.get(level, 31)}m"
    pairs = [
        f" {color}{key}\x1b[0m={_value(str(fields[key]))}" for key in sorted(fields)
    ]
    label = level.upper()[:4]
    return f"{color}{label}\x1b[0m[{int(elapsed):04d}] {message:<44} {''.join(pairs)}\n"


def _value(text: str) -> str:
    """Quote what logrus quotes: anything beyond letters, digits and seven signs."""
    return text if re.fullmatch(r"[-A-Za-z0-9._/@^+]*", text) else quote(text)


def unix_time(text: str) -> float:
    """Return Unix time for a time of RFC 3339; raise ValueError."""
    whole, fraction, zone = _split_time(text)
    return datetime.fromisoformat(whole + zone).timestamp() + float(f"0.{fraction}0")


def shift_time(text: str, seconds: float) -> str:
    """Return a time of RFC 3339 some seconds later, to the nanosecond, in UTC.

    The year 1, which is Go's word for never, stays what it is. Raise ValueError for
    what is no time.
    """
    whole, fraction, zone = _split_time(text)
    moment = datetime.fromisoformat(whole + zone)
    if not seconds or moment.year == 1:
        return text
    nanoseconds = int(fraction.ljust(9, "0")[:9]) + round(seconds * 1e9)
    carry, nanoseconds = divmod(nanoseconds, NANOSECONDS["s"])
    moment = (moment + timedelta(seconds=carry)).astimezone(UTC)
    decimals = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{decimals}Z"


def _split_time(text: str) -> tuple[str, str, str]:
    parts = re.fullmatch(r"(.{19})(?:\.([0-9]+))?(Z|[-+].{5})", text)
    if not parts:
        raise ValueError(f"no time of RFC 3339: {quote(text)}")
    return parts[1], parts[2] or "", parts[3]


def bytes_size(size: float) -> str:
    """Return `7.566 GiB` for 8,123,456,789 bytes: four digits, and a unit."""
    units = iter(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"))
    unit = next(units)
    while size >= 1024:
        size, unit = size / 1024, next(units)
    return f"{size:.4g} {unit}"
