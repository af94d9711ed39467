"""Challenges: a frozen test set, metrics, a deadline, entries, a leaderboard. Pure: scores in, ranks out."""
