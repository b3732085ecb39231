"""Demo data that looks like life, and what a newcomer is shown first."""
