"""Shards: a set of samples as WebDataset tars with a parquet index, read by random access in an order that is pure."""
