"""Three real systems rebuilt small enough to read whole: Docker Swarm, list_head, dlv debug."""
