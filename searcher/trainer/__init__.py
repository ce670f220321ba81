"""The contrastive trainer. Only this package imports torch or open_clip."""
