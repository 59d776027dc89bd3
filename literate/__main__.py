"""`python -m literate`."""

from literate.cli import main

main(prog_name="literate")
