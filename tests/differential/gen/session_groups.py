"""Groups that need more than one connection, or that change a connection: connection, server,
transactions, pubsub, blocking. The first two are templates; the others are functions that return
steps.

A step is (connection number, arguments, kind); kind: COMMAND, BLOCK (no reply is awaited) or
SLEEP (args: [ms]).
"""

COMMAND, BLOCK, SLEEP = "c", "b", "s"

CONNECTION = [
    (5, "PING [{w}]"), (1, "PING {w} {w}"), (4, "ECHO {v}"), (4, "SELECT {db}"), (1, "SELECT 0"),
    (3, "CLIENT SETNAME (conn1|a-b|{w}|x)"), (3, "CLIENT GETNAME"), (1, "CLIENT ID"),
    (1, "CLIENT INFO"),
    (2, "CLIENT NO-EVICT (ON|OFF|BAD)"), (2, "CLIENT NO-TOUCH (ON|OFF|BAD)"),
    (3, "CLIENT SETINFO (LIB-NAME|LIB-VER|BAD) ({w}|redis-py)"), (1, "CLIENT GETREDIR"),
    (1, "CLIENT TRACKINGINFO"),
    (2, "CLIENT CACHING (YES|NO|BAD)"), (1, "CLIENT REPLY (ON|BAD)"),
    (1, "CLIENT UNBLOCK {int} [TIMEOUT|ERROR|BAD]"),
    (1, "CLIENT UNPAUSE"), (1, "CLIENT (HELP|BAD|) [{w}]"), (1, "CLIENT"),
    (2, "CLIENT KILL (1.2.3.4:5|ID abc|ID 0|TYPE bad|USER nouser|SKIPME maybe|ADDR "
        "1.2.3.4:5|LADDR 1.2.3.4:5|BAD x|ID 999999)"),
    (1, "CLIENT LIST (TYPE bad|ID|ID abc|BAD)"), (1, "! CLIENT PAUSE (abc|-1|) [BAD]"),
    (1, "CLIENT TRACKING (ON|OFF|BAD) [REDIRECT (999999|-1|0|abc|18446744073709551615)] [PREFIX "
        "a] [OPTIN] [OPTOUT] [NOLOOP]"),
    (1, "CLIENT TRACKING ON BCAST PREFIX a PREFIX ab"),
    # Two at most: when two overlap that are not the first, Redis answers twice, and nothing can be compared any more.
    (2, "CLIENT TRACKING ON BCAST [PREFIX (a|ab|abc|b|s|x|)] [PREFIX (a|ab|abd|c|bc|)]"),
    (2, "HELLO [(2|4|1|abc|-1|9223372036854775807)]"),
    (2, "HELLO (2|4) [AUTH nouser pw] [SETNAME ({w}|hi)] [BAD]"), (1, "HELLO 2 SETNAME"),
    (1, "HELLO 2 AUTH default"),
    (2, "AUTH {w}"), (2, "AUTH (default|nouser) {w}"), (1, "AUTH a b c"), (1, "RESET"), (1, "QUIT"),
    (1, "COMMAND COUNT {w}"), (1, "NOSUCH {v} {w} {v}"), (1, "({w}|get\r\nx|foo) {w}*"),
    (2, "SET {ks} {w}"), (2, "GET {ks}"),
    (1, "TIME"), (1, "LASTSAVE"), (1, "ROLE"), (1, "WAIT 0 0"), (1, "WAIT (abc|-1) (abc|-1|0)"),
    (1, "LOLWUT BAD"),
    (1, "READONLY"), (1, "ASKING"), (1, "READWRITE"),
]

SERVER = [
    (5, "CONFIG SET (hash-max-listpack-entries|hash-max-ziplist-entries|set-max-intset-entries|zset-max-listpack-entries"
        "|zset-max-ziplist-value|hash-max-listpack-value|list-max-listpack-size|list-compress-depth"
        "|stream-node-max-entries|hll-sparse-max-bytes|slowlog-max-len|latency-monitor-threshold|lfu-log-factor"
        "|lfu-decay-time|active-expire-effort|maxmemory-samples|tcp-keepalive|hz|proto-max-bulk-len"
        "|client-query-buffer-limit|repl-timeout|databases|maxclients|nosuch) {int}"),
    (3, "CONFIG SET (lazyfree-lazy-user-del|lazyfree-lazy-expire|activerehashing|dynamic-hz|rdbcompression|appendonly) (yes|no|1|{w}|YES)"),
    (3, "CONFIG SET (maxmemory-policy|loglevel|appendfsync|repl-diskless-load|acl-pubsub-default|shutdown-on-sigterm)"
        " (noeviction|allkeys-lru|notice|verbose|everysec|resetchannels|{w}|nosave|force)"),
    (3, "CONFIG SET notify-keyspace-events (KEA|""|Kg$|Ex|AKE|{w}|lshzxe|Kt|KEA$lshzxetdmn)"),
    (2, "CONFIG SET client-output-buffer-limit (""|a b c d|normal 1mb 1 60|slave 256mb 64mb "
                                                 "60|pubsub x 1 1|bad 0 0 0)"),
    (2, "CONFIG SET (hash-max-listpack-value|stream-node-max-bytes|auto-aof-rewrite-min-size) "
        "(1kb|1KB|1mb|1gb|1k|1g|1b|1xb|-1|12345|{w})"),
    (1, "CONFIG SET (dir|dbfilename|port|daemonize|logfile|pidfile|requirepass|save) \"\""),
    (1, "CONFIG SET hz 10 hz 11"), (1, "CONFIG SET hz {i} lfu-log-factor {i} nosuch 1"),
    (1, "CONFIG SET {w} {w} {w}"),
    (6, "CONFIG GET (hash-max-*|set-max-intset-entries|zset-max-*-value|list-*|stream-*|hll-*|lfu-*|lazyfree-lazy-expire"
        "|maxmemory-policy|notify-keyspace-events|client-output-buffer-limit|nosuch|HZ|slowlog-max-len|{w}|databases"
        "|appendonly|save|loglevel|maxclients|tcp-keepalive)"),
    (1, "CONFIG GET hz lfu-* hz"), (1, "CONFIG RESETSTAT"), (1, "CONFIG (HELP|BAD|) [{w}]"),
    (1, "CONFIG REWRITE"),
    (2, "OBJECT (HELP|ENCODING|FREQ|IDLETIME|REFCOUNT|BAD) [{k}]"), (1, "OBJECT ENCODING {k}"),
    (1, "DEBUG (BAD|SET-ACTIVE-EXPIRE 1|JMAP-BAD|OBJECT nokey)"), (1, "DEBUG STRINGMATCH-LEN"),
    (1, "DBSIZE"), (1, "TIME"),
    (1, "COMMAND (GETKEYS|GETKEYSANDFLAGS) (GET {k}|SET {k} v EX 1|MSET a 1 b 2|ZUNIONSTORE d "
        "{numkeys} {k} {k}|SORT a STORE b|PING|NOSUCH a|EVAL x {numkeys} {k}"
        "|XREAD STREAMS a b 0 0|GEORADIUS a 1 1 1 m STORE b|LMPOP 2 a b LEFT|COPY a b|RENAME a "
        "b|OBJECT ENCODING x|BITOP AND d a b|ZADD z 1 a)"),
    (1, "COMMAND INFO (get|SET|config get|config\\|get|nosuch) [set]"),
    (1, "COMMAND (HELP|BAD|COUNT)"),
    (1, "COMMAND LIST FILTERBY (MODULE x|ACLCAT bad|PATTERN nosuch*|BAD x)"),
    (1, "COMMAND DOCS nosuch"),
    (1, "SLOWLOG (HELP|BAD|RESET|GET -5|GET abc)"),
    (1, "LATENCY (HELP|BAD|LATEST|RESET|HISTORY x|GRAPH x|HISTOGRAM nosuch)"),
    (1, "MEMORY (HELP|BAD|USAGE nokey|USAGE {ks} SAMPLES -1|USAGE {ks} BAD 1)"),
    (1, "MODULE (HELP|LIST|BAD)"),
    (1, "ACL (HELP|WHOAMI|USERS|BAD|CAT bad|GETUSER nouser|DELUSER default|GENPASS 5000|GENPASS "
        "abc|LOG RESET|LOG abc)"),
    (1, "SWAPDB {db} {db}"), (1, "SHUTDOWN (BAD|ABORT|NOSAVE SAVE|ABORT NOSAVE)"),
    (1, "FAILOVER ABORT"),
    (1, "REPLICAOF (NO|h abc|a b c)"), (1, "SAVE (BAD)"), (1, "BGSAVE BAD"), (1, "SET {ks} {v}"),
    (1, "HSET {kh} {w} {v}"),
    (1, "SADD {kt} {i}+"), (1, "RPUSH {kl} {w}+"), (1, "ZADD {kz} {i} {w}"),
    (1, "PUBSUB (HELP|BAD|NUMPAT x|CHANNELS nope*)"),
]

# What the templates above may have changed, as it was.
SERVER_DEFAULTS = [
    (b"slowlog-max-len", b"128"), (b"latency-monitor-threshold", b"0"), (b"lfu-log-factor", b"10"),
    (b"lfu-decay-time", b"1"), (b"active-expire-effort", b"1"), (b"maxmemory-samples", b"5"),
    (b"tcp-keepalive", b"300"),
    (b"hz", b"10"), (b"repl-timeout", b"60"), (b"lazyfree-lazy-user-del", b"no"),
    (b"lazyfree-lazy-expire", b"no"),
    (b"activerehashing", b"yes"), (b"dynamic-hz", b"yes"), (b"rdbcompression", b"yes"),
    (b"loglevel", b"notice"),
    (b"appendfsync", b"everysec"), (b"repl-diskless-load", b"disabled"), (b"acl-pubsub-default",
    b"resetchannels"),
    (b"shutdown-on-sigterm", b"default"), (b"notify-keyspace-events", b""),
    (b"auto-aof-rewrite-min-size", b"64mb"),
    (b"client-output-buffer-limit",
     b"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
]


def transaction(rng, any_command):
    """MULTI ... EXEC, sometimes broken, sometimes with keys watched and touched by another
    connection."""
    conn = rng.choice([0, 0, 1])
    other = 1 - conn
    steps = []

    def say(who, *args):
        steps.append((who, list(args), COMMAND))

    watched = []
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 2)):
            keys = [rng.choice([b"s1", b"l1", b"t1", b"z1", b"nokey", b"n1", b"h1"])
                    for _ in range(rng.randint(1, 3))]
            watched += keys
            say(conn, b"WATCH", *keys)
        r = rng.random()
        if r < 0.4:
            key = rng.choice(watched)
            say(other if rng.random() < 0.8 else conn, *rng.choice([
                [b"SET", key, b"1"], [b"DEL", key], [b"EXPIRE", key, b"5000"],
                [b"RENAME", key, b"d1"],
                [b"FLUSHALL"], [b"FLUSHDB"], [b"SWAPDB", b"0", b"1"], [b"APPEND", key, b"x"],
                [b"LPUSH", key, b"x"],
                [b"SADD", key, b"x"], [b"GET", key], [b"TOUCH", key], [b"COPY", b"s2", key,
                b"REPLACE"],
                [b"PERSIST", key], [b"SETBIT", key, b"0", b"0"], [b"PEXPIREAT", key, b"1"]]))
        elif r < 0.5:
            say(conn, b"UNWATCH")
    say(conn, b"MULTI")
    for _ in range(rng.randint(0, 6)):
        r = rng.random()
        if r < 0.86:
            steps.append((conn, any_command(rng), COMMAND))
        elif r < 0.9:
            say(conn, *rng.choice([[b"MULTI"], [b"WATCH", b"s1"], [b"UNWATCH"], [b"GET"],
                                   [b"NOSUCH"], [b"SELECT", b"1"],
                                   [b"SELECT", b"0"], [b"CONFIG", b"GET"], [b"QUIT", b"x"],
                                   [b"RESET"], [b"PING"],
                                   [b"SET", b"s1"], [b"FLUSHALL"], [b"OBJECT"], [b"SORT", b"l1"],
                                   [b"ECHO", b"x"]]))
        elif r < 0.95:
            say(other, *rng.choice([[b"SET", b"s1", b"2"], [b"INCR", b"n1"], [b"GET", b"s1"],
                                    [b"SET", b"z9", b"1"]]))
    r = rng.random()
    if r < 0.85:
        say(conn, b"EXEC")
    elif r < 0.97:
        say(conn, b"DISCARD")
    else:
        say(conn, b"EXEC", b"x")
        say(conn, b"DISCARD")
    if rng.random() < 0.1:
        say(conn, *rng.choice([[b"EXEC"], [b"DISCARD"], [b"UNWATCH"], [b"WATCH"]]))
    say(conn, b"SELECT", b"0")
    return steps


def pubsub(rng, any_command):
    """Subscriptions on connections 1 and 2, messages from 0."""
    steps = []
    names = [b"ch1", b"ch2", b"ch3", b"a\r\nb", b"", b"{t}ch"]
    patterns = [b"ch*", b"*", b"ch?", b"[c]h1", b"nope*", b""]
    for _ in range(rng.randint(1, 8)):
        r = rng.random()
        who = rng.choice([1, 2])
        if r < 0.3:
            steps.append((who, [b"SUBSCRIBE"] + rng.sample(names, rng.randint(1, 3)), COMMAND))
        elif r < 0.42:
            steps.append((who, [b"PSUBSCRIBE"] + rng.sample(patterns, rng.randint(1, 2)), COMMAND))
        elif r < 0.5:
            steps.append((who, [b"SSUBSCRIBE"] + rng.sample(names, rng.randint(1, 2)), COMMAND))
        elif r < 0.56:
            steps.append((who, [rng.choice([b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"])] +
                          rng.sample(names + patterns, rng.randint(0, 2)), COMMAND))
        elif r < 0.62:
            steps.append((who, rng.choice([[b"PING"], [b"PING", b"x"], [b"GET", b"s1"],
                                           [b"SUBSCRIBE"], [b"RESET"], [b"PUBLISH", b"ch1"],
                                           [b"MULTI"], [b"CLIENT", b"GETNAME"], [b"NOSUCH"],
                                           [b"SELECT", b"1"]]), COMMAND))
            if steps[-1][1][0] == b"MULTI":
                steps.append((who, [b"DISCARD"], COMMAND))
        elif r < 0.9:
            verb = rng.choice([b"PUBLISH", b"PUBLISH", b"SPUBLISH"])
            steps.append((0, [verb, rng.choice(names),
                              rng.choice([b"hello", b"", b"\r\n", b"x" * 100])], COMMAND))
            steps.append((1, [], COMMAND))
            steps.append((2, [], COMMAND))
        else:
            steps.append((0, rng.choice([[b"PUBSUB", b"CHANNELS"], [b"PUBSUB", b"CHANNELS", b"ch*"],
                                         [b"PUBSUB", b"NUMPAT"],
                                         [b"PUBSUB", b"NUMSUB"] + names[:3],
                                         [b"PUBSUB", b"SHARDCHANNELS"],
                                         [b"PUBSUB", b"SHARDNUMSUB", b"ch1", b"ch2"],
                                         [b"PUBSUB", b"NUMPAT", b"x"],
                                         [b"PUBSUB"], [b"PUBSUB", b"BAD"], [b"PUBSUB", b"HELP"],
                                         [b"PUBLISH", b"ch1"],
                                         [b"PUBLISH", b"a", b"b", b"c"]]), COMMAND))
    return steps


_BLOCKING = [
    [b"BLPOP", b"l1", b"0"], [b"BLPOP", b"l1", b"l2", b"0"], [b"BRPOP", b"l2", b"l1", b"0"],
    [b"BLMOVE", b"l1", b"l2", b"LEFT", b"RIGHT", b"0"],
    [b"BRPOPLPUSH", b"l1", b"l1", b"0"], [b"BRPOPLPUSH", b"l1", b"d1", b"0"],
    [b"BLMPOP", b"0", b"2", b"l1", b"l2", b"LEFT", b"COUNT", b"2"],
    [b"BZPOPMIN", b"z1", b"z2", b"0"], [b"BZPOPMAX", b"z1", b"0"], [b"BZMPOP", b"0", b"1", b"z1",
    b"MIN", b"COUNT", b"2"],
    [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"x1", b"$"], [b"XREAD", b"COUNT", b"1", b"BLOCK", b"0",
                                                          b"STREAMS", b"x1", b"x2", b"$", b"0"],
    [b"XREADGROUP", b"GROUP", b"cg1", b"alice", b"BLOCK", b"0", b"STREAMS", b"x1", b">"],
]
_REFUSED = [
    [b"BLPOP", b"l1"], [b"BLPOP", b"l1", b"-1"], [b"BLPOP", b"l1", b"abc"],
    [b"BLPOP", b"l1", b"1e400"], [b"BLPOP", b"l1", b"nan"],
    [b"BLPOP", b"s1", b"0.01"], [b"BRPOP", b"s1", b"l1", b"0.01"], [b"BLMOVE", b"l1", b"l2", b"BAD",
    b"LEFT", b"0"], [b"BLPOP", b"l1", b""],
    [b"BLMPOP", b"0.01", b"0", b"l1", b"LEFT"], [b"BLMPOP", b"0.01", b"1", b"l1", b"BAD"],
    [b"BLMPOP", b"0.01", b"1", b"l1", b"LEFT", b"COUNT", b"0"],
    [b"BZPOPMIN", b"z1", b"abc"], [b"BZMPOP", b"0.01", b"2", b"z1", b"MIN"], [b"BLMPOP", b"abc",
    b"1", b"l1", b"LEFT"], [b"BLPOP", b"l1", b"9223372036854775808"],
    [b"XREAD", b"BLOCK", b"-1", b"STREAMS", b"x1", b"$"], [b"XREAD", b"BLOCK", b"abc", b"STREAMS",
                                                           b"x1", b"$"], [b"BRPOPLPUSH", b"l1",
                                                           b"l2", b"-0.1"],
    [b"XREAD", b"BLOCK", b"10", b"STREAMS", b"x1", b"$", b"0"], [b"XREAD", b"BLOCK",
    b"9223372036854775807", b"STREAMS", b"x1"],
]
_TIMED = [
    [b"BLPOP", b"l3", b"0.01"], [b"BRPOP", b"l3", b"0.02"], [b"BLMOVE", b"l3", b"l2", b"LEFT",
    b"LEFT", b"0.01"], [b"BRPOPLPUSH", b"l3", b"l2", b"0.01"],
    [b"BLMPOP", b"0.01", b"1", b"l3", b"LEFT"], [b"BZPOPMIN", b"z3", b"0.01"], [b"BZPOPMAX", b"z3",
    b"0.001"], [b"BZMPOP", b"0.01", b"1", b"z3", b"MAX"],
    [b"XREAD", b"BLOCK", b"10", b"STREAMS", b"x3", b"$"], [b"BLPOP", b"l3", b"z3", b"0.01"],
]
_FEEDS = [
    [b"RPUSH", b"l1", b"a"], [b"RPUSH", b"l1", b"a", b"b", b"c"], [b"LPUSH", b"l2", b"x"],
    [b"LPUSH", b"l1", b"y", b"z"], [b"ZADD", b"z1", b"1", b"a"],
    [b"ZADD", b"z1", b"1", b"a", b"2", b"b", b"3", b"c"], [b"ZADD", b"z2", b"5", b"m"],
    [b"XADD", b"x1", b"*", b"a", b"1"], [b"SET", b"l1", b"str"], [b"DEL", b"l1", b"z1"],
    [b"SET", b"z1", b"str"], [b"RENAME", b"l3", b"l1"], [b"COPY", b"l2", b"l1", b"REPLACE"],
    [b"LMOVE", b"l2", b"l1", b"LEFT", b"LEFT"],
    [b"ZUNIONSTORE", b"z1", b"1", b"z2"], [b"SORT", b"l2", b"ALPHA", b"STORE", b"l1"],
    [b"LINSERT", b"l1", b"BEFORE", b"a", b"b"], [b"SADD", b"l1", b"m"],
    [b"XGROUP", b"CREATE", b"x1", b"cg1", b"$", b"MKSTREAM"], [b"DEL", b"x1"], [b"FLUSHDB"],
    [b"SWAPDB", b"0", b"1"], [b"XGROUP", b"DESTROY", b"x1", b"cg1"],
    [b"RPUSH", b"l3", b"c"], [b"MOVE", b"l2", b"1"], [b"LRANGE", b"l1", b"0", b"-1"],
    [b"ZRANGE", b"z1", b"0", b"-1"], [b"LLEN", b"l1"],
]


def blocking(rng, any_command):
    """Connections 1 and 2 wait, connection 0 feeds them; who still waits when it is collected is
    unblocked."""
    steps = []
    stream_ms = [rng.randint(1000, 2000)]
    for who in rng.sample([1, 2], rng.randint(1, 2)):
        r = rng.random()
        if r < 0.7:
            steps.append((who, list(rng.choice(_BLOCKING)), BLOCK))
        elif r < 0.85:
            steps.append((who, list(rng.choice(_REFUSED)), COMMAND))
        else:
            steps.append((who, list(rng.choice(_TIMED)), COMMAND))
    in_multi = rng.random() < 0.2
    if in_multi:
        steps.append((0, [b"MULTI"], COMMAND))
    for _ in range(rng.randint(1, 5)):
        if in_multi and rng.random() < 0.1:
            args = list(rng.choice(_BLOCKING))
        else:
            args = list(rng.choice(_FEEDS))
        if args[0] == b"XADD":
            stream_ms[0] += 1
            args[2] = b"%d-1" % stream_ms[0]
        steps.append((0, args, COMMAND))
    if in_multi:
        steps.append((0, [b"EXEC"], COMMAND))
    steps.append((1, [], COMMAND))
    steps.append((2, [], COMMAND))
    if rng.random() < 0.3:
        steps.append((0, [b"DEL", b"l1", b"z1", b"x1", b"l2"], COMMAND))
    return steps


def events_are_settled(args):
    """False where the events of a command are open (when a key set with a past time ends) or
    differ between the oracles for another reason than the events themselves (7.0 does not know
    WITHSCORE and does not look up the key)."""
    words = {a.upper() for a in args}
    name = args[0].upper()
    return b"WITHSCORE" not in words and name not in (b"BITCOUNT", b"BITPOS", b"CONFIG") and (
        name != b"SET" or not words & {b"EXAT", b"PXAT"})


def notifications(rng, any_command):
    """Connection 2 hears the events of what the others do."""
    steps = [(0, [b"CONFIG", b"SET", b"notify-keyspace-events",
                  rng.choice([b"AKE", b"AKEn", b"AKEm", b"AKEmn", b"KA", b"E$gx"])], COMMAND),
             (2, [b"PSUBSCRIBE", rng.choice([b"__keyevent@*", b"__keyspace@*",
                                             b"__keyevent@0__:*"])], COMMAND)]
    for _ in range(rng.randint(5, 40)):
        args = any_command(rng)
        if events_are_settled(args):
            steps.append((0, args, COMMAND))
    steps.append((2, [], COMMAND))
    return steps


def tracking(rng, any_command):
    """Connection 2 caches what it reads (RESP3) and hears what connection 0 and it itself
    change."""
    mode = rng.choice([[], [b"NOLOOP"], [b"BCAST"], [b"BCAST", b"PREFIX", b"s", b"PREFIX", b"l"],
                       [b"OPTIN"], [b"OPTOUT"],
                       [b"BCAST", b"NOLOOP"]])
    steps = [(2, [b"HELLO", b"3"], COMMAND), (2, [b"CLIENT", b"TRACKING", b"ON"] + mode, COMMAND)]
    keys = [b"s1", b"s2", b"n1", b"l1", b"t1", b"h1", b"nokey"]
    for _ in range(rng.randint(3, 15)):
        key = rng.choice(keys)
        read = rng.choice([[b"GET", key], [b"EXISTS", key], [b"TTL", key], [b"MGET", key, b"s2"],
                           [b"STRLEN", key], [b"TYPE", key]])
        r = rng.random()
        if r < 0.4:
            steps.append((2, read, COMMAND))
        elif r < 0.5:
            steps.append((2, rng.choice([[b"CLIENT", b"CACHING", b"YES"], [b"CLIENT", b"CACHING",
                b"NO"], [b"MULTI"], [b"EXEC"],
                                         [b"CLIENT", b"TRACKINGINFO"], [b"CLIENT", b"GETREDIR"]]),
                                         COMMAND))
        else:
            who = 0 if rng.random() < 0.8 else 2
            steps.append((who, rng.choice([[b"SET", key, b"1"], [b"DEL", key],
                                           [b"EXPIRE", key, b"5000"], [b"APPEND", key, b"x"],
                                           [b"FLUSHDB"], [b"RENAME", key, b"s2"],
                                           [b"MSET", key, b"1", b"s2", b"2"],
                                           [b"PERSIST", key], [b"GETEX", key, b"PERSIST"],
                                           [b"SWAPDB", b"0", b"1"]]), COMMAND))
            steps.append((2, [], COMMAND))
    steps.append((2, [b"EXEC"], COMMAND))
    steps.append((2, [b"QUIT"],
                  COMMAND))     # what it read stays in the server's table as long as it lives
    return steps


def passing_time(rng, any_command):
    """Keys that end during the sequence: everything is asked well before or well after their
    time."""
    keys = rng.sample([b"s1", b"s2", b"l1", b"t1", b"h1", b"z1", b"x1", b"n1"], 4)
    steps = []
    for key in keys:
        ms = b"%d" % rng.randint(60, 90)
        steps.append((0, rng.choice([[b"SET", key, b"1", b"PX", ms], [b"PEXPIRE", key, ms],
                                     [b"PSETEX", key, ms, b"v"],
                                     [b"GETEX", key, b"PX", ms]]), COMMAND))
        if rng.random() < 0.3:
            steps.append((0, rng.choice([[b"PERSIST", key], [b"SET", key, b"2"], [b"SET", key, b"3",
                b"KEEPTTL"], [b"RENAME", key, b"d1"],
                                         [b"COPY", key, b"d2", b"REPLACE"], [b"GETSET", key, b"x"],
                                         [b"INCR", key], [b"EXPIRE", key, b"10000", b"GT"]]),
                          COMMAND))
    if rng.random() < 0.3:
        steps.append((1, [b"WATCH"] + keys, COMMAND))
    steps.append((0, [130], SLEEP))
    for key in keys + [b"d1", b"d2"]:
        steps.append((0, rng.choice([[b"GET", key], [b"TYPE", key], [b"EXISTS", key], [b"TTL", key],
                                     [b"INCR", key], [b"APPEND", key, b"y"],
                                     [b"DEL", key], [b"SETNX", key, b"1"], [b"RENAME", key, b"d3"],
                                     [b"OBJECT", b"ENCODING", key],
                                     [b"SCAN", b"0", b"COUNT", b"1000"], [b"KEYS", b"*"],
                                     [b"LPUSH", key, b"x"], [b"SADD", key, b"x"],
                                     [b"EXPIRE", key, b"10000"], [b"GETDEL", key],
                                     [b"MOVE", key, b"1"], [b"RANDOMKEY"]]), COMMAND))
    if steps[-1][0] == 0 and rng.random() < 0.5:
        steps.append((1, [b"MULTI"], COMMAND))
        steps.append((1, [b"GET", keys[0]], COMMAND))
        steps.append((1, [b"EXEC"], COMMAND))
    return steps
