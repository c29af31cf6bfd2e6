"""The store process: one owner of the database, what comes in, what is maintained, who is given what."""
