"""What the pages share: the way to the API, sessions, languages, layout."""
