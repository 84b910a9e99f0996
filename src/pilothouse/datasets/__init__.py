"""Datasets: rows from files, versions of them, and the mapping of columns onto the inputs of a flow."""
