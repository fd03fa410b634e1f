"""Calls of kernels on fixed small inputs, a module a topic."""
