"""Energy balances as the yearbooks print them: read, checked, never repaired."""
