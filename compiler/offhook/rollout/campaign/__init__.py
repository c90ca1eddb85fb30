"""A campaign as data and pure functions: who changes in which wave, when, and what is to be done next."""
