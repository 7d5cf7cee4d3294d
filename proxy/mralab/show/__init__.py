"""SHOWS. Terminal tables and pages."""
