"""What a user says of a node: scheduler/filter/expr.go of Swarm v1.2.9.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `expr`, `expr.Match`                      | `Expression`, `.match`              |
| `isSoft`                                  | `Expression.is_soft`                |
| `parseExprs`                              | `parse_expressions`                 |
| `OPERATORS`                               | `OPERATORS`                         |
"""

from dataclasses import dataclass
from functools import lru_cache

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.regexp import Regexp, RegexpError

OPERATORS = ("==", "!=")
KEY = r"^(?i)[a-z_][a-z0-9\-_.]+$"
VALUE = r"^(?i)[=!\/]?(~)?[a-z0-9:\-_\s\.\*/\(\)\?\+\[\]\\\^\$\|]+$"


@lru_cache(128)
def compiled(pattern: str) -> Regexp | RegexpError:
    """Compile a pattern, once; what is wrong with it is an answer too."""
    try:
        return Regexp(pattern)
    except RegexpError as error:
        return error


def matches(pattern: str, *texts: str) -> bool:
    """Tell whether a pattern is found in one of the texts."""
    regexp = compiled(pattern)
    return isinstance(regexp, Regexp) and any(map(regexp.search, texts))


@dataclass(frozen=True)
class Expression:
    """A key, and what its value is to match, or with `!=` must not match."""

    key: str
    operator: str
    value: str
    is_soft: bool = False
    """Whether it is a wish only; said with a tilde before the value."""

    @property
    def pattern(self) -> str:
        """The value as Go's regular expression: /.../ is one, all else is a glob."""
        value = self.value
        if len(value) > 1 and value[0] == value[-1] == "/":
            return value[1:-1]
        return f"^{value.replace('*', '.*')}$"

    @property
    def error(self) -> str:
        """Why Go cannot compile the pattern, which then matches nothing; or ""."""
        regexp = compiled(self.pattern)
        return str(regexp) if isinstance(regexp, RegexpError) else ""

    def match(self, *whats: str) -> bool:
        """Tell whether one of these matches, or with `!=` whether none does."""
        return matches(self.pattern, *whats) is (self.operator == "==")

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{self.value}"


def parse_expressions(texts: list[str]) -> list[Expression]:
    """Parse them all, or raise `ClusterError` for the first that is none."""
    return [parse_expression(text) for text in texts]


def parse_expression(text: str) -> Expression:
    # `==` is looked for first, wherever it stands: in a!=b==c the key is a!=b.
    for operator in OPERATORS:
        key, found, value = text.partition(operator)
        if not found:
            continue
        if not matches(KEY, key):
            raise ClusterError(f"Key '{key}' is invalid")
        if not matches(VALUE, value):
            raise ClusterError(f"Value '{value}' is invalid")
        return Expression(key, operator, value.lstrip("~"), value.startswith("~"))
    raise ClusterError("One of operator ==, != is expected")
