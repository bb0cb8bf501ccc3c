"""Every page and figure of the project: one set of templates, one style, one plot library."""
