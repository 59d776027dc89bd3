"""What the tests of an engine of the lab share: containers, refusals, events."""

import pytest

from walkthroughs.swarm.lab_machine import DaemonError

SLEEP = {"Image": "busybox", "Cmd": ["sleep", "9"]}


def run(engine, name="web", **body):
    """Create and start."""
    made = engine.create(name, **(SLEEP | body))
    engine.start(made.id)
    return made


def refusal(call, *arguments, **options):
    with pytest.raises(DaemonError) as caught:
        call(*arguments, **options)
    return caught.value.status, caught.value.message


def told(engine, since=0):
    """Return what was reported: `container start`."""
    return [f"{each['Type']} {each['Action']}" for each in engine.events[since:]]
