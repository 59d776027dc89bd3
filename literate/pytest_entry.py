"""What pytest loads wherever this package is installed: the plugin, if it can run there.

Installed without extras, the package must not disturb the tests of others in the environment.
"""

try:
    from literate.pytest_plugin import (
        pytest_collect_file,
        pytest_collection_modifyitems,
        pytest_runtest_logreport,
        pytest_runtestloop,
        pytest_terminal_summary,
    )

    __all__ = [
        "pytest_collect_file",
        "pytest_collection_modifyitems",
        "pytest_runtest_logreport",
        "pytest_runtestloop",
        "pytest_terminal_summary",
    ]
except ModuleNotFoundError as error:
    MISSING = error.name

    def pytest_report_header() -> str:
        """Say that pages are not tests here, and why."""
        return f"literate: pages are not collected, {MISSING} is missing (walkthroughs[site])"
