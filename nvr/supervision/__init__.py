"""`manage.py up`: the processes of an installation, run by one supervisor."""
