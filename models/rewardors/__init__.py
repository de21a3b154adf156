"""One file without an underscore = one Rewardor; the file name is its name in a profile."""
