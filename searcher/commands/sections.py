"""Help in sections: a command with many options shows them by subject."""

from collections.abc import Mapping, Sequence
from typing import Any

import click


class SectionedCommand(click.Command):
    """A command whose help has a section for each subject. Options that no section names are in the last one.

    sections: title → names of parameters, as the function has them.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = {option.name: found for option in options if (found := option.get_help_record(ctx))}
        width = max(len(usage) for usage, _ in records.values())
        named = {name for names in self.sections.values() for name in names}
        *titles, last = self.sections
        names = {title: self.sections[title] for title in titles}
        names[last] = [*self.sections[last], *(name for name in records if name and name not in named)]
        for title, wanted in names.items():
            with formatter.section(title):
                formatter.write_dl([(records[name][0].ljust(width), records[name][1]) for name in wanted])
