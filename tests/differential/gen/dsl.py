"""Command templates: one line of text describes all shapes of a command.

    SET {ks} {v} [(NX|XX)] [GET] [(EX {ttl}|PX {pttl}|KEEPTTL)]

    WORD        itself, in random letter case;  "" is an empty argument
    {name}      what the value generator `name` makes (see values.py): one argument
    [ ... ]     present or not
    ( a | b )   one of them
    x+          one to three of x;  x* zero to three
    !           first word: numbers of this command are not to be replaced by extremes (it would hang, or would
                need gigabytes, or the result would depend on the time)

A template is compiled once to a tree; expanding it with a random source gives a list of
arguments.
"""

import re

from . import values

SAFE_MARK = "!"


class Template:
    """One compiled line."""

    def __init__(self, text):
        words = _tokens(text)
        self.mutable = True
        if words[0] == SAFE_MARK:
            self.mutable = False
            words = words[1:]
        self.name = words[0]
        self.tree, rest = _sequence(words, 0, ())
        if rest != len(words):
            raise ValueError("template does not parse: " + text)

    def expand(self, rng):
        out = []
        _expand(self.tree, rng, out)
        return out


_TOKEN = re.compile(r"\{[^}]*\}|(?<=[})\]])[+*]|[()\[\]|]|[^\s()\[\]{}|]+")


def _tokens(text):
    out = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        glued = match.start() > 0 and text[match.start() - 1] in "})]"
        out.append("REPEAT" + token if token in "+*" and glued else token)
    return out


def _sequence(words, pos, until):
    items = []
    while pos < len(words) and words[pos] not in until:
        word = words[pos]
        if word in ("(", "["):
            close = ")" if word == "(" else "]"
            choices = []
            pos += 1
            while True:
                seq, pos = _sequence(words, pos, (close, "|"))
                choices.append(seq)
                if words[pos] == close:
                    break
                pos += 1
            pos += 1
            item = ("choice", choices) if word == "(" else ("maybe", choices)
        elif word.startswith("{") and word.endswith("}"):
            item = ("value", values.GENERATORS[word[1:-1]])
            pos += 1
        else:
            item = ("word", b"" if word == '""' else word.encode())
            pos += 1
        if pos < len(words) and words[pos] in ("REPEAT+", "REPEAT*"):
            item = ("repeat", item, 1 if words[pos] == "REPEAT+" else 0)
            pos += 1
        items.append(item)
    return items, pos


def _expand(items, rng, out):
    for item in items:
        kind = item[0]
        if kind == "value":
            made = item[1](rng)
            if isinstance(made, list):
                out.extend(made)
            else:
                out.append(made)
        elif kind == "word":
            out.append(random_case(rng, item[1]))
        elif kind == "choice":
            _expand(item[1][rng.randrange(len(item[1]))], rng, out)
        elif kind == "maybe":
            if rng.random() < 0.4:
                _expand(item[1][rng.randrange(len(item[1]))], rng, out)
        else:
            for _ in range(rng.randint(item[2], 3) if rng.random() < 0.9 else rng.randint(item[2],
                    12)):
                _expand([item[1]], rng, out)


def random_case(rng, word):
    r = rng.random()
    if r < 0.8:
        return word
    if r < 0.9:
        return word.lower()
    return bytes(c ^ 0x20 if rng.random() < 0.5 and 65 <= (c & 0xDF) <= 90 else c for c in word)


def mutate(rng, template, args):
    """Damages a good command in one of the ways users do. Returns a new list."""
    args = list(args)
    kind = rng.random()
    if kind < 0.25 and len(args) > 1:
        del args[rng.randrange(1, len(args))]
    elif kind < 0.40:
        args.insert(rng.randint(1, len(args)), values.junk(rng))
    elif kind < 0.65 and len(args) > 1 and template.mutable:
        numeric = [i for i in range(1, len(args)) if _looks_numeric(args[i])]
        at = rng.choice(numeric) if numeric else rng.randrange(1, len(args))
        args[at] = values.extreme(rng)
    elif kind < 0.75 and len(args) > 2 and template.mutable:
        i, j = rng.randrange(1, len(args)), rng.randrange(1, len(args))
        args[i], args[j] = args[j], args[i]
    elif kind < 0.85 and len(args) > 1:
        args[rng.randrange(1, len(args))] = values.any_key(rng)
    elif kind < 0.93:
        del args[1:]
    elif template.mutable:
        args.append(args[rng.randrange(len(args))])
    return args


def _looks_numeric(arg):
    return arg[:1] in b"-0123456789+" and arg != b""
