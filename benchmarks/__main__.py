"""`python -m benchmarks`: run every benchmark and print its table."""

from benchmarks import api, diff, hub, placement, press, proxy, router, watch

press.main()
diff.main()
hub.main()
watch.main()
placement.main()
router.main()
proxy.main()
api.main()
