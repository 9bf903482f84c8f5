"""Shared by all pages: navigation, panels, security headers, the admin site."""
