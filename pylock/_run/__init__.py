"""Commands under a lock: a supervisor that outlives them."""
