"""The parts of a transaction. They import SQLAlchemy: only what changes the catalog loads them."""
