"""COMMAND and its subcommands: every fact against docs.json, every shape in both protocols, and the table as a whole
against a server of another make.

VALKEY81: the program of Valkey 8.1 (tests/differential/get-oracles prints it); without it the comparison is skipped.
"""

import json
import os

import pytest

from harness import ROOT, Error, Raw, encode, resp
import servers  # found by way of harness

with open(os.path.join(ROOT, "server", "commands", "docs.json"), encoding="ascii") as docs_file:
    DOCS = {c["name"]: c for c in json.load(docs_file)}


def frame(c, *args):
    """The reply as parsed frames, which keep statuses, bulks, sets and arrays apart."""
    c.send(encode(args))
    return resp.parse(c.read_frame())[0]


class Shape:
    """Frames as the protocol of a connection would write them."""

    def __init__(self, version):
        self.version = version

    def bulk(self, text):
        return (b"$", text.encode())

    def words(self, texts, kind=b"+"):
        return self.set([(kind, t.encode()) for t in texts])

    def set(self, frames):
        return (b"~" if self.version == 3 else b"*", frames)

    def array(self, frames):
        return (b"*", frames)

    def map(self, pairs):
        pairs = [(self.bulk(k), v) for k, v in pairs]
        if self.version == 3:
            return (b"%", pairs)
        return (b"*", [x for pair in pairs for x in pair])

    def number(self, n):
        return (b":", str(n).encode())

    def null(self):
        return (b"_", b"") if self.version == 3 else (b"$", None)

    # ---- COMMAND INFO ----

    def key_spec(self, s):
        def search(kind, *pairs):
            return self.map([("type", self.bulk(kind)), ("spec", self.map(pairs))])
        if "index" in s:
            begin = search("index", ("index", self.number(s["index"])))
        elif "keyword" in s:
            word, start = s["keyword"]
            begin = search("keyword", ("keyword", self.bulk(word)), ("startfrom", self.number(start)))
        else:
            begin = search("unknown")
        if "range" in s:
            names, values = ("lastkey", "keystep", "limit"), s["range"]
        else:
            names, values = ("keynumidx", "firstkey", "keystep"), s.get("keynum", ())
        find = search("range" if "range" in s else "keynum" if "keynum" in s else "unknown",
                      *[(n, self.number(v)) for n, v in zip(names, values)])
        notes = [("notes", self.bulk(s["notes"]))] if "notes" in s else []
        return self.map([*notes, ("flags", self.words(s["flags"])), ("begin_search", begin), ("find_keys", find)])

    def info(self, name, subcommands=()):
        d = DOCS[name]
        subs = self.array([self.info(s) for s in subcommands]) if subcommands else self.set([])
        return self.array([
            self.bulk(name), self.number(d["arity"]), self.words(d["flags"]),
            *[self.number(n) for n in d.get("keys", [0, 0, 0])], self.words("@" + c for c in d["acl"]),
            self.words(d.get("tips", []), b"$"), self.set([self.key_spec(s) for s in d.get("key_specs", [])]), subs])

    # ---- COMMAND DOCS ----

    def arg(self, a):
        pairs = [("name", self.bulk(a["name"])), ("type", self.bulk(a["type"]))]
        if "args" not in a:
            pairs.append(("display_text", self.bulk(a.get("display", a["name"]))))
        if "key_spec" in a:
            pairs.append(("key_spec_index", self.number(a["key_spec"])))
        pairs += [(f, self.bulk(a[f])) for f in ("token", "since", "deprecated_since") if f in a]
        if "flags" in a:
            pairs.append(("flags", self.words(a["flags"])))
        if "args" in a:
            pairs.append(("arguments", self.array([self.arg(x) for x in a["args"]])))
        return self.map(pairs)

    def docs(self, name, subcommands=()):
        d = DOCS[name]
        pairs = [(f, self.bulk(d[f])) for f in ("summary", "since", "group", "complexity") if f in d]
        if "doc_flags" in d:
            pairs.append(("doc_flags", self.words(d["doc_flags"])))
        pairs += [(f, self.bulk(d[f])) for f in ("deprecated_since", "replaced_by") if f in d]
        if "history" in d:
            pairs.append(("history", self.set([self.array([self.bulk(v), self.bulk(t)]) for v, t in d["history"]])))
        if "arguments" in d:
            pairs.append(("arguments", self.array([self.arg(a) for a in d["arguments"]])))
        if subcommands:
            pairs.append(("subcommands", self.map([(s, self.docs(s)) for s in subcommands])))
        return self.map(pairs)


@pytest.fixture(params=[2, 3])
def both(request, shared):
    """A connection and the shape of its replies, once in each protocol."""
    with shared.raw() as c:
        if request.param == 3:
            c.cmd("HELLO", 3)
        yield c, Shape(request.param)


@pytest.fixture
def listed(shared):
    """Registered containers and commands: {name: [full names of subcommands, in order]}."""
    with shared.raw() as c:
        names = [n.decode() for n in c.cmd("COMMAND", "LIST")]
    found = {n: [] for n in names if "|" not in n}
    for n in names:
        if "|" in n:
            found[n.split("|")[0]].append(n)
    return found


def test_every_command_is_told_as_docs_json_has_it(both, listed):
    c, shape = both
    kind, entries = frame(c, "COMMAND")
    assert kind == b"*"
    assert len(entries) == len(listed)
    for entry in entries:
        name = entry[1][0][1].decode()
        assert entry == shape.info(name, listed[name]), name
    assert frame(c, "COMMAND", "INFO") == (kind, entries), "without names INFO tells all"
    assert c.cmd("COMMAND", "COUNT") == len(entries)


def test_subcommands_are_told_by_their_full_name(both, listed):
    c, shape = both
    subs = [s for subs in listed.values() for s in subs]
    assert subs
    kind, entries = frame(c, "COMMAND", "INFO", *subs)
    assert entries == [shape.info(s) for s in subs]
    assert frame(c, "COMMAND", "INFO", "COMMAND|info") == shape.array([shape.info("command|info")])


def test_info_of_what_is_unknown_is_null(both):
    c, shape = both
    asked = ["nosuch", "get", "", "|", "get|", "get|x", "command|", "command|nosuch", "command|info|x", "GET"]
    kind, got = frame(c, "COMMAND", "INFO", *asked)
    known = shape.info("get")
    assert got == [known if a.lower() == "get" else shape.null() for a in asked]


def test_docs_of_all_and_of_some(both, listed):
    c, shape = both
    wanted = [(n, shape.docs(n, subs)) for n, subs in listed.items()]
    assert frame(c, "COMMAND", "DOCS") == shape.map(wanted)
    assert frame(c, "COMMAND", "DOCS", "nosuch", "GET", "command|docs", "get", "get|") == shape.map(
        [("get", shape.docs("get")), ("command|docs", shape.docs("command|docs")), ("get", shape.docs("get"))])
    assert frame(c, "COMMAND", "DOCS", "nosuch") == shape.map([])


def test_list_filters(both, listed):
    c, _ = both
    everything = [n for top, subs in listed.items() for n in [top, *subs]]

    def listing(*args):
        return [n.decode() for n in c.cmd("COMMAND", "LIST", *args)]
    assert sorted(listing()) == sorted(everything)
    for category in ("string", "BITMAP", "fast", "dangerous"):
        expected = [n for n in everything if category.lower() in DOCS[n]["acl"]]
        assert sorted(listing("FILTERBY", "aclcat", category)) == sorted(expected), category
    assert listing("filterby", "ACLCAT", "nosuch") == []
    assert listing("filterby", "aclcat", "@string") == []
    assert listing("filterby", "module", "any") == []
    assert sorted(listing("filterby", "pattern", "CommanD*")) == sorted(n for n in everything if n.startswith("command"))
    assert listing("filterby", "pattern", "ge?") == ["get"]
    assert listing("filterby", "pattern", "") == []


@pytest.mark.parametrize("args", [
    ["foo"], ["filterby"], ["filterby", "module"], ["filterby", "foo", "x"], ["foo", "module", "x"],
    ["filterby", "pattern", "x", "y"],
])
def test_list_refuses_other_words(raw, args):
    assert raw.cmd("COMMAND", "LIST", *args) == Error("ERR syntax error")


def test_help_and_unknown_subcommands(raw):
    lines = raw.cmd("COMMAND", "HELP")
    assert lines[0] == b"COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert b"GETKEYSANDFLAGS <full-command>" in lines and lines[-2] == b"HELP"
    for sub in ("foo", "FOO"):
        assert raw.cmd("COMMAND", sub) == Error("ERR unknown subcommand '%s'. Try COMMAND HELP." % sub)
    assert raw.cmd("COMMAND", "HELP", "x") == Error("ERR wrong number of arguments for 'command|help' command")
    assert raw.cmd("COMMAND", "COUNT", "x") == Error("ERR wrong number of arguments for 'command|count' command")
    assert raw.cmd("COMMAND", "GETKEYS") == Error("ERR wrong number of arguments for 'command|getkeys' command")


@pytest.mark.parametrize("request_line, keys", [
    ("get a", {"a": "RO access"}),
    ("GET a", {"a": "RO access"}),
    ("set a b", {"a": "OW update"}),
    ("set a b ex 1 get", {"a": "RW access update"}),
    ("mset a 1 b 2 c 3", {"a": "OW update", "b": "OW update", "c": "OW update"}),
    ("rename a b", {"a": "RW access delete", "b": "OW update"}),
    ("bitop and d a b", {"d": "OW update", "a": "RO access", "b": "RO access"}),
    ("bitfield a get u8 0", {"a": "RO access"}),
    ("bitfield a set u8 0 1", {"a": "RW access update"}),
    ("object freq a", {"a": "RO"}),
    ("memory usage a samples 5", {"a": "RO"}),
    ("sort a by w_* get # store d", {"a": "RO access", "d": "OW update"}),
    ("zunionstore d 2 a b weights 1 2", {"d": "OW update", "a": "RO access", "b": "RO access"}),
    ("eval s 2 a b c", {"a": "RW access update", "b": "RW access update"}),
    ("eval s 0 a", {}),
    ("eval s 5 a", {}),
    ("lmpop +1 a b left", {"a": ""}),
    ("lmpop 1x a b left", {"a": ""}),
    ("lmpop 4294967297 a b left", {"a": "RW access delete"}),
    ("xread count 1 streams a b 0 0", {"a": "RO access", "b": "RO access"}),
    ("georadius a 1 1 1 km storedist d", {"a": "RO access", "d": "OW update"}),
    ("migrate h 1 '' 0 10 auth keys keys a b", {"a": "RW access delete", "b": "RW access delete"}),
])
def test_keys_of_a_command(both, listed, request_line, keys):
    c, shape = both
    args = [a.strip("'") for a in request_line.split(" ")]
    if args[0].lower() not in listed:
        pytest.skip("no " + args[0])
    assert frame(c, "COMMAND", "GETKEYS", *args) == shape.array([shape.bulk(k) for k in keys])
    assert frame(c, "COMMAND", "GETKEYSANDFLAGS", *args) == shape.array(
        [shape.array([shape.bulk(k), shape.words(flags.split())]) for k, flags in keys.items()])


@pytest.mark.parametrize("request_line, error", [
    ("nosuch a", "ERR Invalid command specified"),
    ("command|count", "ERR Invalid command specified"),
    ("config nosuch a", "ERR Invalid command specified"),
    ("config", "ERR The command has no key arguments"),
    ("ping", "ERR The command has no key arguments"),
    ("ping a b c", "ERR The command has no key arguments"),
    ("config set a b", "ERR The command has no key arguments"),
    ("publish c m", "ERR The command has no key arguments"),
    ("spublish c m", "ERR The command has no key arguments"),
    ("get", "ERR Invalid number of arguments specified for command"),
    ("get a b", "ERR Invalid number of arguments specified for command"),
    ("object encoding", "ERR Invalid number of arguments specified for command"),
    ("zunionstore d 3 a b", "ERR Invalid arguments specified for command"),
    ("zunionstore d x a b", "ERR Invalid arguments specified for command"),
    ("lmpop 9223372036854775808 a left", "ERR Invalid arguments specified for command"),
    ("lmpop -9223372036854775808 a left", "ERR Invalid arguments specified for command"),
    ("xread block 0 streams", "ERR Invalid arguments specified for command"),
    ("migrate h 1 k 0 10 keys a", "ERR Invalid arguments specified for command"),
])
def test_what_has_no_keys_is_said_why(raw, listed, request_line, error):
    args = request_line.split(" ")
    if args[0] in DOCS and args[0] not in listed:
        pytest.skip("no " + args[0])
    for sub in ("GETKEYS", "GETKEYSANDFLAGS"):
        assert raw.cmd("COMMAND", sub, *args) == Error(error)


def test_many_keys(raw):
    names = [b"key%d" % i for i in range(5000)]
    assert raw.cmd("COMMAND", "GETKEYS", "MGET", *names) == names


# ---- against another server ----

# What Valkey 8.1 has and Redis 7.2 has not: flags and key specs that changed, subcommands that came.
LATER_INFO = {"client", "cluster", "exec", "memory", "multi", "script", "sinterstore", "wait", "waitaof", "watch"}
LATER_DOCS = {"bgsave", "bitcount", "client", "cluster", "georadiusbymember_ro", "hscan", "set", "shutdown", "slowlog",
              "xgroup", "zscan", "script"}
OWN_WORDS = {b"summary", b"complexity", b"notes", b"replaced_by", b"history"}


@pytest.fixture(scope="module")
def peer():
    path = os.environ.get("VALKEY81")
    if not path:
        pytest.skip("VALKEY81 is not set")
    server = servers.Server("valkey81", path).start()
    yield server
    server.stop()


def ask_peer(peer, *args):
    with Raw(("127.0.0.1", peer.port)) as c:
        c.cmd("HELLO", 3)
        return frame(c, *args)


def strip_words(f):
    """A frame without the texts that every server words in its own way."""
    kind, value = f
    if kind == b"%":
        return (kind, [(k, None if k[1] in OWN_WORDS else strip_words(v)) for k, v in value])
    if kind in (b"*", b"~"):
        return (kind, [strip_words(v) for v in value])
    return f


def sort_subcommands(entry):
    fields = list(entry[1])
    kind, subs = fields[9]
    fields[9] = (kind, sorted(subs, key=lambda s: s[1][0][1]))
    return (entry[0], fields)


def test_commands_are_those_of_another_server(resp3, peer):
    theirs = {e[1][0][1]: sort_subcommands(strip_words(e)) for e in ask_peer(peer, "COMMAND")[1]}
    compared = 0
    for entry in frame(resp3, "COMMAND")[1]:
        name = entry[1][0][1]
        assert name in theirs
        if name.decode() in LATER_INFO:
            continue
        ours = sort_subcommands(strip_words(entry))
        if len(ours[1][9][1]) == len(theirs[name][1][9][1]):
            assert ours == theirs[name], name
        else:  # some subcommands are not built yet
            assert ours[1][:9] == theirs[name][1][:9], name
        compared += 1
    assert compared > 80


def test_docs_are_those_of_another_server(resp3, peer, listed):
    names = [n for n, subs in listed.items() if n not in LATER_DOCS and not subs]
    ours = frame(resp3, "COMMAND", "DOCS", *names)
    theirs = ask_peer(peer, "COMMAND", "DOCS", *names)
    for (our_name, our_docs), (their_name, their_docs) in zip(ours[1], theirs[1], strict=True):
        assert our_name == their_name
        assert strip_words(our_docs) == strip_words(their_docs), our_name
    assert len(names) > 70
