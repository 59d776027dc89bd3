"""Real systems, rebuilt small enough to read whole: one package for each."""
