"""Photos → vectors, and the search among vectors under ids.

`pipeline` turns photo files into embeddings. `store` is VectorStore: it searches among all embeddings of a model, in
several files. `plan` says which files are written, `writing` writes one, and `part` searches in one. `exact` compares
vectors in memory.
"""
