"""Benchmarks of fastmml beside its peers; see README.md in this folder."""
