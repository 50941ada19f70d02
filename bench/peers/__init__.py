"""Services for comparison. None of them is part of the product."""
