"""From a request to a grant, and back: one try, the wait, and everything that may come between."""
