"""Docker Swarm v1.2.9, the standalone one, module by module."""
