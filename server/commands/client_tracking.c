/* CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO. The machinery is server/tracking.c. */
#include "server/commands/client_cmd.h"

#include <stdlib.h>

#include "common/arena.h"
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

static bool refuse_overlap(struct call *c, struct bytes a, const char *what, struct bytes b)
{
    resp_errorf(c->w,
                "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.",
                (int)a.n, a.p, what, (int)b.n, b.p);
    return false;
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

/* In the order in which they were given; the client's own is the second. */
static bool refuse_pair(struct call *c, const struct candidate *a, const struct candidate *b)
{
    const struct candidate *first = a->place >= 0 && (b->place < 0 || a->place < b->place) ? a : b;
    const struct candidate *other = first == a ? b : a;
    return refuse_overlap(c, first->text, other->place < 0 ? "an existing" : "another provided", other->text);
}

/* There is an overlap: names the first in the order in which the prefixes were given, what the client has before the
 * others, as long as they are few; else the pair that was found. */
static bool refuse_first(struct call *c, const struct request *r, const struct candidate *a, const struct candidate *b)
{
    enum { FEW = 100 };
    const struct client_tracking *t = c->client->tracking;
    if (r->prefixes_n > FEW || (t && t->prefixes.links_n > FEW))
        return refuse_pair(c, a, b);
    for (int i = 0; i < r->prefixes_n; i++) {
        struct bytes p = r->prefixes[i];
        if (t)
            LIST_EACH(&t->prefixes.links, node) {
                struct bytes has = relation_text(LIST_ITEM(node, struct relation_link, in_side)->name);
                if (overlap(p, has) && !bytes_eq(p, has))
                    return refuse_overlap(c, p, "an existing", has);
            }
        for (int k = i + 1; k < r->prefixes_n; k++)
            if (overlap(p, r->prefixes[k]))
                return refuse_overlap(c, p, "another provided", r->prefixes[k]);
    }
    return refuse_pair(c, a, b);
}

/* Sorted, a text comes right before those that begin with it. So a stack of the beginnings of the current text is all
 * that has to be looked at, however many prefixes there are. Giving again what the client has is fine. */
static bool prefixes_fit(struct call *c, const struct request *r)
{
    const struct client_tracking *t = c->client->tracking;
    size_t n = 0, most = (size_t)r->prefixes_n + (t ? t->prefixes.links_n : 0);
    struct candidate *all = arena_array(c->arena, most, sizeof(*all));
    if (t)
        LIST_EACH(&t->prefixes.links, node)
            all[n++] = (struct candidate){ relation_text(LIST_ITEM(node, struct relation_link, in_side)->name), -1 };
    for (int i = 0; i < r->prefixes_n; i++)
        all[n++] = (struct candidate){ r->prefixes[i], i };
    if (n)
        qsort(all, n, sizeof(*all), by_text);
    const struct candidate **begins = arena_array(c->arena, most, sizeof(*begins));
    size_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        const struct candidate *b = &all[i];
        while (depth && !overlap(begins[depth - 1]->text, b->text))
            depth--;
        size_t at = depth;
        if (at && begins[at - 1]->place < 0 && bytes_eq(begins[at - 1]->text, b->text))
            at--; /* given again */
        const struct candidate *a = at ? begins[at - 1] : NULL;
        if (a && (a->place >= 0 || b->place >= 0))
            return refuse_first(c, r, a, b);
        begins[depth++] = b;
    }
    return true;
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
