"""sim2street: labelled synthetic streets in, segmenters for real streets out, every published way on one protocol."""
