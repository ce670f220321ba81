"""Photos → vectors, and the search among vectors under ids.

`pipeline` turns photo files into embeddings. `store` is VectorStore: it searches among all embeddings of a model.
`flat` reads and writes its file.
"""
