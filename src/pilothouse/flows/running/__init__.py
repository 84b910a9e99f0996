"""How the nodes of one line are run: the plan, the line, the scheduler, its threads and spans."""
