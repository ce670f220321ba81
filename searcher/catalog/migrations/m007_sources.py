"""The counts of labels by source come from indexes alone."""

STATEMENTS = ["CREATE INDEX content_tags_taught ON content_tags (label_id) WHERE source = 'taught'"]
