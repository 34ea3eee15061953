"""Lists of faces and pictures that operators fill: how they are kept, read anew and searched."""
