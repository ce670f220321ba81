"""Completion in bash, zsh and fish: the scripts, what they ask, and what they are told.

Each script passes the line up to the cursor, as it was typed, in COMP_LINE. Click finds out what the last word can
be. Click's own scripts do not quote what they insert, and split words at colons and commas.
"""

import os
import re
import sys
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem, ShellComplete

from searcher.commands.common import printable

VARIABLE = "_SEARCHER_COMPLETE"  # set by the scripts, to the name of the shell

_BASH = """\
_searcher_completion() {
    local line kind value
    COMPREPLY=()
    while IFS= read -r line; do
        kind=${line%%,*} value=${line#*,}
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" BREAKS="$COMP_WORDBREAKS" VARIABLE=bash "$1" 2>/dev/null)
}
# Bash before 4.4 has no nosort, and bash before 4.0 cannot choose: it offers files where nothing else fits.
complete -o nosort -F _searcher_completion searcher 2>/dev/null || complete -o default -F _searcher_completion searcher
"""

_ZSH = """\
#compdef searcher
_searcher_completion() {
    local -a response plain described
    local kind value help
    response=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT-1]} $QIPREFIX$IPREFIX$PREFIX" VARIABLE=zsh \
${words[1]} 2>/dev/null)}")
    for kind value help in "${response[@]}"; do
        case $kind in
            plain) [[ $help == _ ]] && plain+=("$value") || described+=("${value//:/\\\\:}:$help") ;;
            dir) [[ $PREFIX == --*=* ]] && compset -P 1 '*='; _path_files -/ ;;
            file) [[ $PREFIX == --*=* ]] && compset -P 1 '*='; _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V searcher described
    (( $#plain )) && compadd -U -V searcher -a plain
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _searcher_completion "$@"
else
    compdef _searcher_completion searcher
fi
"""

_FISH = """\
function _searcher_completion
    set -l token (commandline -ct)
    set -l head (string match -r -- '^--[a-z-]+=' $token)
    for line in (COMP_LINE=(commandline -cp | string collect) VARIABLE=fish searcher 2>/dev/null)
        set -l parts (string split -m1 , -- $line)
        switch $parts[1]
            case plain
                echo -- $parts[2]
            case dir
                __fish_complete_directories (string replace -- "$head" '' $token) | string replace -r '^' -- "$head"
            case file
                __fish_complete_path (string replace -- "$head" '' $token) | string replace -r '^' -- "$head"
        end
    end
end
complete -e -c searcher
complete --no-files -c searcher -a '(_searcher_completion)'
"""


class Line(NamedTuple):
    """A command line up to the cursor: its complete words, and the one that is typed.

    quote: the quote that is open in the last word, "" if none is. start: how many characters of the last word are
    before what bash replaces.
    """

    words: list[str]
    word: str
    quote: str
    start: int


def read_line(line: str, breaks: str = "") -> Line:
    """Split a line as a shell does. breaks: the characters at which bash splits a word that is not quoted."""
    words: list[str] = []
    word, quote, start, begun, escaped = "", "", 0, False, False
    for character in line:
        if escaped:
            word += character if not quote or character in '"\\$`' else f"\\{character}"
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = begun = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character in "\"'":
            quote, start, begun = character, len(word), True
        elif character.isspace():
            if begun:
                words.append(word)
            word, start, begun = "", 0, False
        else:
            word += character
            begun = True
            if character in breaks:
                start = len(word) - (character in "$@")  # readline's special prefixes are parts of the word
    return Line(words, word, quote, start)


class _Shell(ShellComplete):
    """What the three have in common."""

    def source(self) -> str:
        return self.source_template.replace("VARIABLE", VARIABLE)

    def get_completion_args(self) -> tuple[list[str], str]:
        self.line = read_line(os.environ["COMP_LINE"], os.environ.get("BREAKS", ""))
        return self.line.words[1:], self.line.word

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        items = [item for item in self.get_completions(args, incomplete) if printable(item.value) == item.value]
        return "".join(f"{self.format_completion(item)}\n" for item in items)

    def whole_word(self, value: str) -> str:
        """The last word with its option: --tag=Rex. Click leaves the option out, but shells replace the word."""
        option = re.match(r"--[\w-]+=", self.line.word)
        return (option[0] if option else "") + value


class Bash(_Shell):
    name = "bash"
    source_template = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        if item.type != "plain":
            return f"{item.type},"
        value = self.whole_word(item.value)[self.line.start :]
        if self.line.quote == '"':
            value = re.sub(r'(["\\$`])', r"\\\1", value)
        elif self.line.quote == "'":
            value = value.replace("'", r"'\''")
        else:
            value = re.sub(r"([^\w@%+=:,./-])", r"\\\1", value)
        return f"plain,{value}"


class Zsh(_Shell):
    name = "zsh"
    source_template = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type}\n{self.whole_word(item.value)}\n{' '.join((item.help or '_').split())}"


class Fish(_Shell):
    name = "fish"
    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        text = f"\t{' '.join(item.help.split())}" if item.help else ""
        return f"{item.type},{self.whole_word(item.value)}{text}"


SHELLS: dict[str, type[_Shell]] = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def script(shell: str) -> str:
    """The script that makes a shell complete `searcher`."""
    return SHELLS[shell](click.Command("searcher"), {}, "searcher", VARIABLE).source()


def complete(program: click.Command) -> None:
    """Print what the last word of COMP_LINE can be. Whatever goes wrong, nothing is printed: somebody is typing."""
    context: dict[str, Any] = {}
    try:
        found = SHELLS[os.environ[VARIABLE]](program, context, "searcher", VARIABLE).complete()
        sys.stdout.buffer.write(found.encode(errors="surrogateescape"))
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt, SystemExit):
        return
