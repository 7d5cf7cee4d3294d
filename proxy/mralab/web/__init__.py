"""Control API and live page."""
