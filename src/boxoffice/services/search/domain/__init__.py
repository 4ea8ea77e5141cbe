"""What is searched, what may be asked, and what counts as a word: pure rules, no IO."""
