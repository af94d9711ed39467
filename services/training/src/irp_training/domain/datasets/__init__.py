"""What is learnt from: accepted masks, the rules that choose them, and who is kept apart for good."""
