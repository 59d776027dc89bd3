"""`python -m walkthroughs.swarm`, see `walkthroughs.swarm.main`."""

from walkthroughs.swarm.main import run

run()
