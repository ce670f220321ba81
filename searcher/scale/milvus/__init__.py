"""Libraries in Milvus: a server, a cluster, or Milvus Lite, which keeps everything in a local folder.

`address` reads where a library is, `connection` talks to the server, `schema` and `registry` are what is stored there,
`loading` fills it from Parquet shards, and `collection` is what searches and tags use.
"""
