"""Services to compare with. None of them is part of the product."""
