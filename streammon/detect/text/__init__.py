"""What a room's text amounts to over time: lines that fly, stand and change, each read as seldom as can be. Pure."""
