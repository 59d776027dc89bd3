"""`python -m benchmarks`: run every benchmark and print its table."""

from benchmarks import diff, hub, placement, press, watch

press.main()
diff.main()
hub.main()
watch.main()
placement.main()
