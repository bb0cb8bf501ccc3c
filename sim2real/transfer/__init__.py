"""Methods that carry a policy to a target under a budget; each returns a `Policy`."""
