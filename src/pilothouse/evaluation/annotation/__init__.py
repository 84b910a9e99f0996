"""Labels of people: queues of frozen items, reviewers, agreement, adjudication."""
