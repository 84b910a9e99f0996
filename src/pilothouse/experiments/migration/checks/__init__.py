"""What each kind of file tells, read without running it."""
