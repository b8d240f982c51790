/* CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO. The machinery is server/tracking.c. */
#include "server/commands/client_cmd.h"

#include <limits.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/assert.h"
#include "common/num.h"
#include "server/node.h"
#include "server/tracking.h"

struct request {
    struct tracking_options o;
    struct bytes *prefixes;
    int prefixes_n;
};

/* The options after ON / OFF. False after an error reply. */
static bool parse(struct call *c, struct request *r)
{
    r->prefixes = arena_array(c->arena, (size_t)c->argc, sizeof(*r->prefixes));
    for (int i = 3; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (arg_is(c, i, "redirect") && more) {
            if (r->o.redirect) {
                reply_error(c, "ERR A client can only redirect to a single other client");
                return false;
            }
            int64_t id;
            if (!arg_i64(c, ++i, &id))
                return false;
            if (id < 1 || !client_by_id(node_clients(c->node), (uint64_t)id)) {
                reply_error(c, "ERR The client ID you want redirect to does not exist");
                return false;
            }
            r->o.redirect = (uint64_t)id;
        } else if (arg_is(c, i, "bcast")) {
            r->o.bcast = true;
        } else if (arg_is(c, i, "optin")) {
            r->o.optin = true;
        } else if (arg_is(c, i, "optout")) {
            r->o.optout = true;
        } else if (arg_is(c, i, "noloop")) {
            r->o.noloop = true;
        } else if (arg_is(c, i, "prefix") && more) {
            r->prefixes[r->prefixes_n++] = c->argv[++i];
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

static bool overlap(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    return memcmp(a.p, b.p, n) == 0;
}

struct candidate {
    struct bytes text;
    int place; /* among those given; -1: the client has it already */
};

static int by_text(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = bytes_cmp(x->text, y->text);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* What the texts above one in the stack of beginnings are, itself included. */
struct beginning {
    const struct candidate *last;
    bool has;  /* one of them is the client's already */
    int first; /* the least place of those given; INT_MAX: none */
};

/* The place of the first prefix given that overlaps with what the client has or with one given later; INT_MAX: none
 * does. Sorted, a text comes right before those that begin with it. So a stack of the beginnings of the current text is
 * all that has to be looked at, however many prefixes there are. */
static int first_overlapping(struct arena *arena, const struct candidate *all, size_t n)
{
    struct beginning *stack = arena_array(arena, n, sizeof(*stack));
    size_t depth = 0;
    int found = INT_MAX;
    for (size_t i = 0; i < n; i++) {
        while (depth && !overlap(stack[depth - 1].last->text, all[i].text))
            depth--;
        struct beginning b = depth ? stack[depth - 1] : (struct beginning){ .first = INT_MAX };
        int place = all[i].place;
        if (b.first < found)
            found = b.first;
        if (place >= 0 && place < found && (b.has || b.first < INT_MAX))
            found = place;
        b.last = &all[i];
        b.has |= place < 0;
        if (place >= 0 && place < b.first)
            b.first = place;
        stack[depth++] = b;
    }
    return found;
}

/* False after an error reply: prefixes of a client may not overlap, and what it has already it may not give again. */
static bool prefixes_fit(struct call *c, const struct request *r)
{
    const struct client_tracking *t = c->client->tracking;
    if (r->prefixes_n == 0)
        return true;
    size_t n = 0, most = (size_t)r->prefixes_n + (t ? t->prefixes.links_n : 0);
    struct candidate *all = arena_array(c->arena, most, sizeof(*all));
    if (t)
        LIST_EACH(&t->prefixes.links, node)
            all[n++] = (struct candidate){ relation_text(LIST_ITEM(node, struct relation_link, in_side)->name), -1 };
    for (int i = 0; i < r->prefixes_n; i++)
        all[n++] = (struct candidate){ r->prefixes[i], i };
    qsort(all, n, sizeof(*all), by_text);
    int place = first_overlapping(c->arena, all, n);
    if (place == INT_MAX)
        return true;
    /* Named with it: the first of the client's in the order of their bytes, else the first given later. */
    struct bytes p = r->prefixes[place], other = BYTES("");
    const char *what = NULL;
    for (size_t i = 0; i < n && !what; i++)
        if (all[i].place < 0 && overlap(p, all[i].text)) {
            what = "an existing";
            other = all[i].text;
        }
    for (int i = place + 1; i < r->prefixes_n && !what; i++)
        if (overlap(p, r->prefixes[i])) {
            what = "another provided";
            other = r->prefixes[i];
        }
    ASSERT(what);
    resp_errorf(c->w,
                "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.",
                (int)p.n, p.p, what, (int)other.n, other.p);
    return false;
}

/* Whether the options go together, and with what is on already. False after an error reply. */
static bool check(struct call *c, const struct request *r)
{
    const struct client_tracking *t = c->client->tracking;
    const char *error = NULL;
    if (r->prefixes_n && !r->o.bcast)
        error = "ERR PREFIX option requires BCAST mode to be enabled";
    else if (t && t->o.bcast != r->o.bcast)
        error =
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling "
            "it with a different mode.";
    else if (r->o.bcast && (r->o.optin || r->o.optout))
        error = "ERR OPTIN and OPTOUT are not compatible with BCAST";
    else if (r->o.optin && r->o.optout)
        error = "ERR You can't specify both OPTIN mode and OPTOUT mode";
    else if (t && ((r->o.optin && t->o.optout) || (r->o.optout && t->o.optin)))
        error =
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling "
            "it with a different mode.";
    if (error) {
        reply_error(c, error);
        return false;
    }
    return !r->o.bcast || prefixes_fit(c, r);
}

void cmd_client_tracking(struct call *c)
{
    struct tracking *t = node_tracking(c->node);
    struct request r = { 0 };
    if (!parse(c, &r))
        return;
    if (arg_is(c, 2, "off")) {
        tracking_forget(t, c->client);
        reply_ok(c);
        return;
    }
    if (!arg_is(c, 2, "on")) {
        reply_syntax_error(c);
        return;
    }
    if (!check(c, &r))
        return;
    tracking_enable(t, c->client, &r.o);
    for (int i = 0; i < r.prefixes_n; i++)
        tracking_add_prefix(t, c->client, r.prefixes[i]);
    if (r.o.bcast && r.prefixes_n == 0)
        tracking_add_prefix(t, c->client, BYTES("")); /* every key */
    reply_ok(c);
}

void cmd_client_caching(struct call *c)
{
    struct client_tracking *t = c->client->tracking;
    if (!t) {
        reply_error(c, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT "
                       "mode enabled");
        return;
    }
    bool yes = arg_is(c, 2, "yes");
    if (!yes && !arg_is(c, 2, "no")) {
        reply_syntax_error(c);
        return;
    }
    if (yes && !t->o.optin) {
        reply_error(c, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
        return;
    }
    if (!yes && !t->o.optout) {
        reply_error(c, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
        return;
    }
    t->caching = true;
    reply_ok(c);
}

void cmd_client_getredir(struct call *c)
{
    reply_int(c, c->client->tracking ? (int64_t)c->client->tracking->o.redirect : -1);
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

void cmd_client_trackinginfo(struct call *c)
{
    const struct client_tracking *t = c->client->tracking;
    const char *flags[8];
    int n = 0;
    flags[n++] = t ? "on" : "off";
    if (t && t->o.bcast)
        flags[n++] = "bcast";
    if (t && t->o.optin) {
        flags[n++] = "optin";
        if (t->caching)
            flags[n++] = "caching-yes";
    }
    if (t && t->o.optout) {
        flags[n++] = "optout";
        if (t->caching)
            flags[n++] = "caching-no";
    }
    if (t && t->o.noloop)
        flags[n++] = "noloop";
    if (c->client->flags & CLIENT_TRACKING_BROKEN)
        flags[n++] = "broken_redirect";
    resp_map(c->w, 3);
    resp_bulk_str(c->w, "flags");
    resp_set(c->w, n);
    for (int i = 0; i < n; i++)
        resp_bulk_str(c->w, flags[i]);
    resp_bulk_str(c->w, "redirect");
    reply_int(c, t ? (int64_t)t->o.redirect : -1);
    resp_bulk_str(c->w, "prefixes");
    if (!t) {
        resp_empty_array(c->w);
        return;
    }
    size_t prefixes_n = 0;
    struct bytes *prefixes = arena_array(c->arena, t->prefixes.links_n + 1, sizeof(*prefixes));
    LIST_EACH(&t->prefixes.links, node)
        prefixes[prefixes_n++] = relation_text(LIST_ITEM(node, struct relation_link, in_side)->name);
    qsort(prefixes, prefixes_n, sizeof(*prefixes), by_bytes);
    reply_array(c, (int64_t)prefixes_n);
    for (size_t i = 0; i < prefixes_n; i++)
        reply_bulk(c, prefixes[i]);
}
