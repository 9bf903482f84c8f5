"""How moments are written where a template does not say: exact, and the same for everybody."""
