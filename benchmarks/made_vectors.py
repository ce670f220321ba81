"""Made vectors shaped like those of a CLIP model: in clusters of power-law sizes, and texts apart from photos."""

from collections.abc import Iterator

import numpy as np

CLUSTERS, FACTORS, CHUNK = 4000, 192, 20_000
APART = 0.8  # of the length of a vector is the mean of its kind: the modality gap


class Shapes:
    """One made model. The same seed gives the same photos and queries."""

    def __init__(self, dim: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.dim, self._seed = dim, seed
        # few directions explain most of the variance
        self._strength = (np.arange(1, FACTORS + 1) ** -0.35).astype(np.float32)
        self._basis = (random.standard_normal((FACTORS, dim)) / np.sqrt(dim)).astype(np.float32)
        self._centres = self._factors(random, CLUSTERS)
        sizes = np.arange(1, CLUSTERS + 1) ** -0.8
        self._sizes = sizes / sizes.sum()
        self._noise = float(np.linalg.norm(self._centres[0])) / np.sqrt(dim)
        self._photo_mean, self._text_mean = (_unit(random.standard_normal((1, dim))) for _ in range(2))

    def photos(self, count: int, seed: int = 1) -> Iterator[np.ndarray]:
        """`count` photos in chunks (n, dim) float16, unit length."""
        random = np.random.default_rng((self._seed, seed))
        for start in range(0, count, CHUNK):
            n = min(CHUNK, count - start)
            chosen = random.choice(CLUSTERS, n, p=self._sizes)
            yield self._made(random, chosen, 0.15, self._photo_mean).astype(np.float16)

    def photo_queries(self, count: int) -> np.ndarray:
        """Photos that are not in the collection: (count, dim) float32, unit length."""
        return np.concatenate(list(self.photos(count, seed=2))).astype(np.float32)

    def text_queries(self, count: int, seed: int = 3) -> np.ndarray:
        """Texts, about rare things as often as about common ones: (count, dim) float32, unit length."""
        random = np.random.default_rng((self._seed, seed))
        return self._made(random, random.integers(0, CLUSTERS, count), 0.6, self._text_mean)

    def combined_queries(self, count: int) -> np.ndarray:
        """A photo, and a text, and half as much not another text: (count, dim) float32, unit length."""
        texts, others = self.text_queries(count, 4), self.text_queries(count, 5)
        return _unit(self.photo_queries(count) + texts - 0.5 * others)

    def _made(self, random: np.random.Generator, clusters: np.ndarray, noise: float, mean: np.ndarray) -> np.ndarray:
        rows = self._centres[clusters] + 0.7 * self._factors(random, len(clusters))
        rows += noise * self._noise * random.standard_normal(rows.shape).astype(np.float32)
        return _unit(_unit(rows) + APART * mean)

    def _factors(self, random: np.random.Generator, count: int) -> np.ndarray:
        rows: np.ndarray = (random.standard_normal((count, FACTORS)).astype(np.float32) * self._strength) @ self._basis
        return rows


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
