"""A plugin that must never be imported: importing it is what its tests look for."""

raise SystemExit("a disabled plugin was imported")
