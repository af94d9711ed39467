"""Batches for every process of a run, made while the network learns from the one before."""
