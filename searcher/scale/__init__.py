"""Engines for more photos than one machine can embed or search: Ray, Parquet and Milvus. Needs the extra `scale`."""
