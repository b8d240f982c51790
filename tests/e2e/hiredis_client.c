/* A hiredis program as a user would write one: blocking calls, a deep pipeline, binary values, subscription, and the
 * reader against errors. Compiled by test_clients.py. Usage: hiredis_client PORT [UNIX-SOCKET]. Prints "ok". */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static void fail(const char *what, const redisContext *c, const redisReply *r)
{
    fprintf(stderr, "%s: %s\n", what, r && r->str ? r->str : c && c->err ? c->errstr : "unexpected reply");
    exit(1);
}

static redisReply *must(redisContext *c, redisReply *r, int type, const char *what)
{
    if (!r || r->type != type)
        fail(what, c, r);
    return r;
}

static void simple_calls(redisContext *c)
{
    redisReply *r = must(c, redisCommand(c, "SET %s %b", "hi:k", "a\0b\r\nc", (size_t)6), REDIS_REPLY_STATUS, "SET");
    freeReplyObject(r);
    r = must(c, redisCommand(c, "GET hi:k"), REDIS_REPLY_STRING, "GET");
    if (r->len != 6 || memcmp(r->str, "a\0b\r\nc", 6) != 0)
        fail("binary value", c, NULL);
    freeReplyObject(r);
    freeReplyObject(must(c, redisCommand(c, "GET hi:none"), REDIS_REPLY_NIL, "GET of a missing key"));
    freeReplyObject(must(c, redisCommand(c, "INCR hi:k"), REDIS_REPLY_ERROR, "INCR of a string"));
    r = must(c, redisCommand(c, "MGET hi:k hi:none hi:k"), REDIS_REPLY_ARRAY, "MGET");
    if (r->elements != 3 || r->element[1]->type != REDIS_REPLY_NIL)
        fail("MGET", c, NULL);
    freeReplyObject(r);
}

static void pipeline(redisContext *c, int n)
{
    for (int i = 0; i < n; i++)
        if (redisAppendCommand(c, "INCRBY hi:n %d", i) != REDIS_OK)
            fail("append", c, NULL);
    long long sum = 0;
    for (int i = 0; i < n; i++) {
        redisReply *r;
        if (redisGetReply(c, (void **)&r) != REDIS_OK)
            fail("pipeline", c, NULL);
        sum += i;
        if (r->type != REDIS_REPLY_INTEGER || r->integer != sum)
            fail("pipeline", c, r);
        freeReplyObject(r);
    }
}

static void subscription(redisContext *c, redisContext *other)
{
    freeReplyObject(must(c, redisCommand(c, "SUBSCRIBE hi:ch"), REDIS_REPLY_ARRAY, "SUBSCRIBE"));
    redisReply *r = must(other, redisCommand(other, "PUBLISH hi:ch hello"), REDIS_REPLY_INTEGER, "PUBLISH");
    if (r->integer != 1)
        fail("PUBLISH", other, NULL);
    freeReplyObject(r);
    if (redisGetReply(c, (void **)&r) != REDIS_OK)
        fail("message", c, NULL);
    if (r->elements != 3 || strcmp(r->element[2]->str, "hello") != 0)
        fail("message", c, r);
    freeReplyObject(r);
    freeReplyObject(must(c, redisCommand(c, "UNSUBSCRIBE"), REDIS_REPLY_ARRAY, "UNSUBSCRIBE"));
    freeReplyObject(must(c, redisCommand(c, "PING"), REDIS_REPLY_STATUS, "PING"));
}

static redisContext *connect_to(const char *port, const char *path)
{
    struct timeval timeout = { 10, 0 };
    redisContext *c = path ? redisConnectUnixWithTimeout(path, timeout)
                           : redisConnectWithTimeout("127.0.0.1", atoi(port), timeout);
    if (!c || c->err)
        fail("connect", c, NULL);
    redisSetTimeout(c, timeout);
    return c;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    redisContext *c = connect_to(argv[1], NULL);
    redisContext *d = connect_to(argv[1], argc > 2 ? argv[2] : NULL);
    simple_calls(c);
    simple_calls(d);
    pipeline(c, 20000);
    subscription(c, d);
    redisFree(c);
    redisFree(d);
    puts("ok");
    return 0;
}
