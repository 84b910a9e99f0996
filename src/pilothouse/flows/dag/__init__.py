"""`flow.dag.yaml`: its references, variants, graph, includes and what is refused at load."""
