/* Sets, one at a time: members, random ones, SSCAN; and SMOVE. The algebra of sets is set_ops.c. */
#include "server/types/set.h"

#include "common/arena.h"
#include "server/commands/collection.h"

/* ---- adding and removing ---- */

static void cmd_sadd(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!write_typed(c, key, TYPE_SET, &e))
        return;
    uint64_t n = (uint64_t)c->argc - 2, added = 0;
    struct value_ref set;
    if (e) {
        set = ref_of(e);
        set_expect(&set, n, c->limits);
    } else {
        set = set_new_for(c->argv[2], n, c->limits);
    }
    for (int i = 2; i < c->argc; i++)
        added += set_add(&set, c->argv[i], c->limits);
    if (e)
        ref_store(e, set);
    else
        ks_add_object(c->db, key, TYPE_SET, set.enc, set.object);
    if (added)
        changed_elements(c, key, NOTIFY_SET, "sadd", added);
    reply_int(c, (int64_t)added);
}

static void cmd_srem(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!write_typed(c, key, TYPE_SET, &e))
        return;
    uint64_t removed = 0;
    if (e) {
        struct value_ref set = ref_of(e);
        for (int i = 2; i < c->argc; i++)
            removed += set_remove(&set, c->argv[i]);
        ref_store(e, set);
        if (removed) {
            changed_elements(c, key, NOTIFY_SET, "srem", removed);
            if (set_count(set) == 0)
                delete_empty(c, key);
        }
    }
    reply_int(c, (int64_t)removed);
}

/* Adds the member to the set under the key, which is made when it is not there. */
static void move_in(struct call *c, struct bytes key, struct bytes member)
{
    struct entry *e = ks_find(c->db, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
    struct value_ref set = e ? ref_of(e) : set_new_for(member, 1, c->limits);
    bool added = set_add(&set, member, c->limits);
    if (e)
        ref_store(e, set);
    else
        ks_add_object(c->db, key, TYPE_SET, set.enc, set.object);
    if (added)
        ks_changed(c->db, key, NOTIFY_SET, "sadd");
}

static void cmd_smove(struct call *c)
{
    struct bytes from = c->argv[1], to = c->argv[2], member = c->argv[3];
    struct entry *e, *dest;
    if (!ks_write(c->db, from)) {
        reply_int(c, 0); /* whatever `to` holds */
        return;
    }
    if (!write_typed(c, to, TYPE_SET, &dest) || !write_typed(c, from, TYPE_SET, &e))
        return;
    ASSERT(e); /* time stands still in a command: it did not expire between the two lookups */
    struct value_ref set = ref_of(e);
    if (dest == e) {
        reply_int(c, set_has(set, member));
        return;
    }
    if (!set_remove(&set, member)) {
        reply_int(c, 0);
        return;
    }
    ref_store(e, set);
    ks_changed(c->db, from, NOTIFY_SET, "srem");
    if (set_count(set) == 0)
        delete_empty(c, from);
    move_in(c, to, member);
    reply_int(c, 1);
}

/* ---- asking ---- */

static void cmd_scard(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_SET, &e))
        reply_int(c, e ? (int64_t)set_count(ref_of(e)) : 0);
}

static void cmd_sismember(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_SET, &e))
        reply_int(c, e && set_has(ref_of(e), c->argv[2]));
}

static void cmd_smismember(struct call *c)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_SET, &e))
        return;
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_int(c, e && set_has(ref_of(e), c->argv[i]));
}

static void reply_members(struct call *c, struct value_ref set)
{
    struct set_walk w;
    struct element member;
    set_walk_begin(&w, set);
    while (set_walk_next(&w, &member))
        reply_element(c->w, &member);
}

static void cmd_smembers(struct call *c)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_SET, &e))
        return;
    resp_set(c->w, e ? (int64_t)set_count(ref_of(e)) : 0);
    if (e)
        reply_members(c, ref_of(e));
}

/* ---- SPOP ---- */

/* The members of an effect `SREM key member ...`, sent off in parts of POP_EFFECT. */
enum { POP_EFFECT = 1024 };
struct popped {
    struct call *c;
    struct bytes *argv; /* of the next effect */
    int argc;
};

static void popped_begin(struct popped *p, struct call *c, uint64_t n)
{
    size_t most = n < POP_EFFECT ? (size_t)n : POP_EFFECT;
    *p = (struct popped){ .c = c,
                          .argv = arena_array(c->arena, most + 2, sizeof(*p->argv)),
                          .argc = 2 };
    p->argv[0] = BYTES("SREM");
    p->argv[1] = c->argv[1];
}

static void popped_flush(struct popped *p)
{
    if (p->argc > 2)
        effect_replace(p->c, p->argc, p->argv);
    p->argc = 2;
}

/* `text` is good until the effect is flushed. */
static void popped_add(struct popped *p, struct bytes text)
{
    p->argv[p->argc++] = text;
    if (p->argc == POP_EFFECT + 2)
        popped_flush(p);
}

static void pop_one(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!write_typed(c, key, TYPE_SET, &e))
        return;
    if (!e) {
        reply_null(c);
        return;
    }
    struct value_ref set = ref_of(e);
    struct element member;
    char scratch[ELEMENT_SCRATCH];
    set_random(set, command_prng(), &member);
    struct bytes text = element_text(&member, scratch), effect[] = { BYTES("SREM"), key, text };
    reply_bulk(c, text);
    effect_replace(c, 3, effect);
    set_remove(&set, text);
    ref_store(e, set);
    ks_changed(c->db, key, NOTIFY_SET, "spop");
    if (set_count(set) == 0)
        delete_empty(c, key);
}

/* Everything goes, and the key with it. */
static void pop_all(struct call *c, struct value_ref set)
{
    struct bytes key = c->argv[1];
    uint64_t n = set_count(set);
    enum ks_del how = deleted_by_server(c);
    resp_set(c->w, (int64_t)n);
    reply_members(c, set);
    ks_delete(c->db, key, how);
    changed_elements(c, key, NOTIFY_SET, "spop", n);
    ks_notify(c->db, key, NOTIFY_GENERIC, "del");
    struct bytes effect[] = { how == KS_DEL_LAZY ? BYTES("UNLINK") : BYTES("DEL"), key };
    effect_replace(c, 2, effect);
}

struct pop_walk {
    struct call *c;
    struct bytes *texts; /* of the chosen members, in the arena */
    size_t n;
};

static void pop_note(void *ctx, const struct element *member)
{
    struct pop_walk *p = ctx;
    char scratch[ELEMENT_SCRATCH];
    p->texts[p->n++] = arena_copy(p->c->arena, element_text(member, scratch));
}

/* Some go: they are chosen, then removed one by one. */
static void pop_few(struct call *c, struct entry *e, uint64_t k)
{
    struct value_ref set = ref_of(e);
    struct pop_walk chosen = { c, arena_array(c->arena, (size_t)k, sizeof(struct bytes)), 0 };
    struct popped effect;
    popped_begin(&effect, c, k);
    set_pick(set, k, command_prng(), pop_note, &chosen);
    for (size_t i = 0; i < chosen.n; i++) {
        reply_bulk(c, chosen.texts[i]);
        popped_add(&effect, chosen.texts[i]);
        set_remove(&set, chosen.texts[i]);
    }
    popped_flush(&effect);
    ref_store(e, set);
}

/* Most go: the others move to a new set. */
static void pop_most(struct call *c, struct entry *e, uint64_t k)
{
    struct value_ref old = ref_of(e), kept;
    uint64_t n = set_count(old);
    kept = set_new_large(n - k, c->limits);
    if (kept.enc != ENC_HASHTABLE && old.enc != ENC_INTSET) {
        set_free(kept);
        kept = (struct value_ref){ lp_new(), ENC_LISTPACK };
    }
    struct choice choice = { k, n };
    struct popped effect;
    struct set_walk w;
    struct element member;
    popped_begin(&effect, c, k);
    set_walk_begin(&w, old);
    while (set_walk_next(&w, &member)) {
        char scratch[ELEMENT_SCRATCH];
        struct bytes text = element_text(&member, scratch);
        if (choice_next(&choice, command_prng())) {
            reply_bulk(c, text);
            popped_add(&effect, member.s.p ? text : arena_copy(c->arena, text));
        } else {
            set_add(&kept, text, c->limits);
        }
    }
    popped_flush(&effect);
    ks_replace_object(c->db, c->argv[1], TYPE_SET, kept.enc, kept.object, KS_KEEP_TTL);
}

static void cmd_spop(struct call *c)
{
    /* Of moving a member to another set, in pops: Redis' figure, which decides the encoding. */
    enum { MOVE_COST = 5 };
    struct entry *e;
    int64_t count;
    if (c->argc == 2) {
        pop_one(c);
        return;
    }
    if (c->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if (!num_parse_i64(c->argv[2], &count) || count < 0) {
        reply_error(c, "ERR value is out of range, must be positive");
        return;
    }
    if (!write_typed(c, c->argv[1], TYPE_SET, &e))
        return;
    if (!e || count == 0) {
        resp_set(c->w, 0);
        return;
    }
    uint64_t n = set_count(ref_of(e)), k = (uint64_t)count;
    if (k >= n) {
        pop_all(c, ref_of(e));
        return;
    }
    resp_set(c->w, count);
    if ((n - k) * MOVE_COST > k)
        pop_few(c, e, k);
    else
        pop_most(c, e, k);
    changed_elements(c, c->argv[1], NOTIFY_SET, "spop", k);
}

/* ---- SRANDMEMBER ---- */

static void reply_visit(void *ctx, const struct element *member)
{
    reply_element(ctx, member);
}

static void random_one(struct call *c)
{
    struct entry *e;
    struct element member;
    if (!read_typed(c, c->argv[1], TYPE_SET, &e))
        return;
    if (!e) {
        reply_null(c);
        return;
    }
    set_random(ref_of(e), command_prng(), &member);
    reply_element(c->w, &member);
}

/* A negative count: so many draws, the same member may come again. */
static void random_draws(struct call *c, struct value_ref set, int64_t n)
{
    if (n > DRAWS_MAX) {
        reply_error(c, "ERR value is out of range");
        return;
    }
    reply_array(c, n);
    for (; n > 0 && !c->w->muted; n--) {
        struct element member;
        set_random(set, command_prng(), &member);
        reply_element(c->w, &member);
    }
}

static void cmd_srandmember(struct call *c)
{
    struct entry *e;
    int64_t count;
    if (c->argc == 2) {
        random_one(c);
        return;
    }
    if (c->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if (!arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &count) ||
        !read_typed(c, c->argv[1], TYPE_SET, &e))
        return;
    if (!e || count == 0) {
        resp_empty_array(c->w);
        return;
    }
    struct value_ref set = ref_of(e);
    if (count < 0) {
        random_draws(c, set, -count);
        return;
    }
    uint64_t n = set_count(set), k = (uint64_t)count < n ? (uint64_t)count : n;
    reply_array(c, (int64_t)k);
    set_pick(set, k, command_prng(), reply_visit, c->w);
}

/* ---- SSCAN ---- */

static void scan_visit(void *ctx, const struct element *member)
{
    struct scan_state *s = ctx;
    if (!scan_wants(s, member))
        return;
    reply_element(s->c->w, member);
    s->replied++;
}

static void cmd_sscan(struct call *c)
{
    struct scan_state s;
    struct entry *e;
    uint64_t cursor, steps = 0;
    if (!scan_begin(c, TYPE_SET, &s, &cursor, &e))
        return;
    do
        cursor = set_scan(ref_of(e), cursor, scan_visit, &s);
    while (scan_goes_on(&s, cursor, &steps));
    scan_end(&s, cursor);
}

const struct command set_commands[] = {
    { "sadd", cmd_sadd, -3, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "srem", cmd_srem, -3, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "smove", cmd_smove, 4, CMD_WRITE | CMD_FAST, KEYS_AT(1, 2, 1), NULL },
    { "scard", cmd_scard, 2, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "sismember", cmd_sismember, 3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "smismember", cmd_smismember, -3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "smembers", cmd_smembers, 2, CMD_READ, KEY_1, NULL },
    { "spop", cmd_spop, -2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "srandmember", cmd_srandmember, -2, CMD_READ, KEY_1, NULL },
    { "sscan", cmd_sscan, -3, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
