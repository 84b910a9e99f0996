"""The ledgers of several hosts: each sends its rows through the database and takes those of the others in."""
