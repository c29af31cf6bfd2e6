"""What the methods' configurations have in common: how a file is read, what a loop needs, what a model begins with."""
