"""`python -m benchmarks`: run every benchmark and print its table."""

from benchmarks import diff, hub, press

press.main()
diff.main()
hub.main()
