"""The README's example of a manager, as a reader runs it."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_moves_a_container():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (told.stderr, told.stdout.splitlines()[-1]) == ("", "<Container node-2/web>")
