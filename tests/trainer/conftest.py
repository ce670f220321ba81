from tests.models.conftest import small_folder

__all__ = ["small_folder"]
