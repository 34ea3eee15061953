"""The reader of text: finds lines, reads each as seldom as can be, and follows it through a room's pictures."""
