"""Tests of `providers.stripe.adapter` without servers."""
