"""Jobs: verbs as processes of their own, with a row, a folder and a place in the line. There is no daemon."""
