"""Round numbers along an axis."""

from math import ceil, floor, log10

MINUTES = (15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)
HOUR = 3600.0


def plain(value: float) -> str:
    """Return `value` without what a float adds to it: 60, not 60.0."""
    return str(value) if isinstance(value, int) else f"{round(value, 9) + 0:.15g}"


def round_step(length: float, most: int) -> float:
    """Return the smallest 1, 2 or 5 times a power of ten that `length` has at most `most` of."""
    least = (length or most) / most
    power = 10.0 ** floor(log10(least))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= least * (1 - 1e-9))


def clock_step(seconds: float, most: int) -> float:
    """Return the like for a time: from ten seconds up, parts and multiples of a minute."""
    least = seconds / most
    if least <= 10:
        return round_step(seconds, most)
    if least > MINUTES[-1]:
        return HOUR * max(1, round_step(seconds / HOUR, most))
    return next(step for step in MINUTES if step >= least)


def ticks(low: float, high: float, step: float) -> list[float]:
    """Return the multiples of `step` from the last one up to `low` to the first one from `high`."""
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(last, first + 1) + 1)]
