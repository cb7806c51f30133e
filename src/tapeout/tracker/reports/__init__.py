"""What can be said of many issues together: the `reasons` why some do not go on, `graphs` of who waits for whom, and
`figures`. They read the index and change nothing.
"""
