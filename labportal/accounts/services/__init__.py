"""The verbs of accounts: signing in, tokens, administration of users and projects."""
