"""Version 3: disks that are mounted below a root; columns of runs and models under names that say what they hold."""

STATEMENTS = [
    """
CREATE TABLE mounts (
    root_id INTEGER NOT NULL,
    relpath BLOB NOT NULL,
    PRIMARY KEY (root_id, relpath),
    FOREIGN KEY(root_id) REFERENCES roots (id) ON DELETE CASCADE
) WITHOUT ROWID
""",
    "ALTER TABLE tag_runs RENAME COLUMN basis TO conditions",
    "ALTER TABLE tag_runs RENAME COLUMN replaced TO retracted",
    "ALTER TABLE models RENAME COLUMN derived_to TO refreshed_to",
]
