"""One short file a kind of stage: read the parameters, open the inputs, call the library, write the outputs."""
