"""`python -m literate`, and the console script: the command line, or what it lacks."""

import sys


def run() -> None:
    """Run the command line; without the packages it needs, say which extra brings them."""
    try:
        from literate.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"literate needs {error.name}: pip install 'walkthroughs[site]' brings it")
    main(prog_name="literate")


if __name__ == "__main__":
    run()
