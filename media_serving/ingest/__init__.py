"""Ingest of uploads: watch the cameras' folders, enter new files in the ledger, and process them."""
