"""`python -m benchmarks`: run every benchmark and print its table."""

from benchmarks import press

press.main()
