"""Pictures that searcher draws: contact sheets of hits, and pictures of an evaluation.

`sheet` draws a contact sheet, `confusion` a confusion matrix, `reliability` a reliability diagram. `lettering` finds
fonts and fits text.
"""
