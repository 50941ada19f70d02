"""What tests stand on: no test is here."""
