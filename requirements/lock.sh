#!/bin/sh
# Resolve the extras of pyproject.toml into one hashed lock file each.
# Usage: requirements/lock.sh UV       (make lock calls it)
set -eu
uv=$1
cd "$(dirname "$0")/.."
compile() {
    "$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --no-annotate "$@" pyproject.toml
}
# The later files are held to the versions of the earlier one, so that one
# environment can take them all.
compile --extra site -o requirements/site.txt
compile --extra test -c requirements/site.txt -o requirements/test.txt
compile --extra notebook -c requirements/test.txt -o requirements/notebook.txt
compile --extra go -c requirements/test.txt -o requirements/go.txt
