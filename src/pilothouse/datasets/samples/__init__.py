"""Sample data: real text under a licence that allows its use, fetched when it is asked for."""
