"""Experiments in the trackers of others: logged to MLflow and Weights & Biases, brought from MLflow."""
