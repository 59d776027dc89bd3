"""What every test may ask for."""

import os
import shutil
from collections.abc import Callable

import pytest

THOROUGH = os.environ.get("WALKTHROUGHS_REQUIRE_REAL") == "1"
"""Whether a run may take its time: more seeds, more engines, every page in the browser."""


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """Return a function from a program's name to its path.

    Without the program the test is skipped, or fails when WALKTHROUGHS_REQUIRE_REAL=1.
    """

    def path_of(program: str) -> str:
        if path := shutil.which(program):
            return path
        missing = f"{program} is not on this machine"
        if THOROUGH:
            pytest.fail(missing)
        pytest.skip(missing)

    return path_of
