"""A plugin that fails as soon as it is imported."""

raise ImportError("this plugin needs a library that is not there")
