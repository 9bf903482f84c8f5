"""`manage.py up`: the parts of an installation as processes below one supervisor."""
