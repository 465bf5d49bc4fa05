"""gradstream demo: the whole system on the flights that left New York City in 2013."""
