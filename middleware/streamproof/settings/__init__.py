"""Options from files, environment and arguments: the schema, its loading, and what settings come to."""
