from tests.library.conftest import album, model

__all__ = ["album", "model"]
