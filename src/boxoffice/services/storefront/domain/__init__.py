"""What the pages need to know without asking anybody: drawings of houses, words for times and money, safe addresses."""
