"""The official paddleocr package, which runs in an environment of its own, as a child that this folder keeps."""
