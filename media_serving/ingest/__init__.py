"""From a file in a camera's folder to what was detected in it: watched, entered in the ledger, worked through."""
