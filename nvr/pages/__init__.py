"""What every page shares: navigation, panels, security headers, the admin's frame."""
