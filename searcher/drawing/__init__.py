"""Pictures that searcher draws: contact sheets of hits, and confusion pictures of an evaluation.

`sheet` draws a contact sheet, `confusion` a confusion matrix, `lettering` finds fonts and fits text.
"""
