"""`make generate`: the files and regions that follow from the code, always the same text.

``targets`` lists them; a module per subject has the functions that return their texts.
"""
