"""Services for comparison. None of them is part of the product.

Each is written and tuned as well as its design allows. ``table`` lists them,
``service`` runs them, and the other modules here are parts that several share.
"""
