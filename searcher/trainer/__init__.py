"""The contrastive trainer: everything that imports torch or open_clip."""
