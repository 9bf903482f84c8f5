"""Tests of the job engine, with a model of their own: an app that only the tests' settings install."""
