"""What is learned from: who lies where, what is alike, what is held out."""
