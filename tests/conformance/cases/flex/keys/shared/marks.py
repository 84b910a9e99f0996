MARKS = "!?"
