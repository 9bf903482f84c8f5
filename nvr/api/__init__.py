"""Shared by all APIs: authentication, rate limits, versions and error formats."""
