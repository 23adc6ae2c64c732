"""What a compile reports: plain values that are also the JSON, and the text that people read."""
