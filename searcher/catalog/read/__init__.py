"""The parts of a view: SQL text with parameters on Python's own driver.

Importing SQLAlchemy takes longer than a search.
"""
