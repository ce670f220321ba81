"""Pictures that searcher draws: contact sheets of hits, and pictures of an evaluation.

`sheet` draws a contact sheet, `page` writes one as HTML, `confusion` draws a confusion matrix, `reliability` a
reliability diagram. `lettering` finds fonts and fits text. `terminal` encodes pictures for terminals.
"""
