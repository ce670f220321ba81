"""A model can have several vector files, each of which begins after an id."""

STATEMENTS = ["ALTER TABLE vector_files ADD COLUMN after_id INTEGER DEFAULT 0 NOT NULL"]
