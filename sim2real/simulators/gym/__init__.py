"""Gymnasium envs as an engine; the model under one, which `sim2real.wrappers` writes as well."""
