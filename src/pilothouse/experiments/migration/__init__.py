"""From prompt flow and its GenAIOps template: what runs as it is, and the tools that bring over the rest."""
