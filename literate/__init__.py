"""The press: turns a page and the module it walks into something executed, shown and checked.

Read in this order: `problems`, `project`, `source`, `page`, `ledger`, `quotes`, then `doctests`,
`session` and `worker` (inside a page's own process) and `run` (starts and watches it), then what
is made of the results: `render`, `notebook`, `accept`, `reader`; last the three doors: `cli`,
`mkdocs_plugin`, `pytest_plugin` (which pytest finds through `pytest_entry`).
"""
