"""Options from files, environment and arguments: the schema, its loading, and the assembly of what they ask for."""
