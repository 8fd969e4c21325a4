"""Who, what they may see, work, files, money and time: knows no HTTP and no billing."""
