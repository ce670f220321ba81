"""The scores of meaningless queries are no longer needed: relevance says whether a photo fits."""

STATEMENTS = [
    "ALTER TABLE models DROP COLUMN noise_vectors",
    "ALTER TABLE models DROP COLUMN noise_floor",
]
