"""TokenService: API tokens, of which only hashes are stored."""
