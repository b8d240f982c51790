/* The codec of the bus: frames of real servers mean what another decoder says, and come out again bit for bit; broken
 * ones are refused. */
#include "cluster/wire.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/prng.h"

static struct buf read_whole(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", VECTORS, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    struct buf b = BUF_INIT(1 << 24);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_append(&b, bytes_of(piece, n));
    fclose(f);
    return b;
}

static size_t length_at(struct bytes b)
{
    const uint8_t *u = (const uint8_t *)b.p;
    cr_assert_geq(b.n, 8);
    return (size_t)u[4] << 24 | u[5] << 16 | u[6] << 8 | u[7];
}

static void print_slots(struct buf *b, const uint8_t *slots)
{
    bool any = false;
    for (unsigned s = 0; s < CLUSTER_SLOTS; s++) {
        if (!cluster_serves(slots, s))
            continue;
        unsigned first = s;
        while (s + 1 < CLUSTER_SLOTS && cluster_serves(slots, s + 1))
            s++;
        buf_printf(b, "%s%u-%u", any ? "," : "", first, s);
        any = true;
    }
    if (!any)
        buf_append_str(b, "-");
}

static void print_gossip(struct buf *b, const struct frame *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct gossip_entry e;
        wire_gossip_get(f->gossip, i, &e);
        buf_printf(b, " g:%.40s/%s:%u/%u@%u/%u/%u/%u", e.name, e.ip, e.port, e.other_port, e.bus_port, e.flags,
                   e.ping_sent_s, e.pong_received_s);
    }
}

static void print_extensions(struct buf *b, const struct frame *f)
{
    static const char *const names[] = { "hostname", "nodename", "forgotten", "shard" };
    size_t at = 0;
    struct wire_ext x;
    while (wire_ext_next(f->ext, &at, &x)) {
        cr_assert_lt(x.type, 4);
        if (x.type == WIRE_EXT_FORGOTTEN)
            buf_printf(b, " x:forgotten=%.40s/%" PRIu64, x.name, x.ttl_s);
        else
            buf_printf(b, " x:%s=%.*s", names[x.type], (int)x.text.n, x.text.p);
    }
}

static void print_frame(struct buf *b, const struct frame *f, size_t size)
{
    static const char *const types[WIRE_TYPES] = {
        "PING",     "PONG",   "MEET",    "FAIL",   "PUBLISH",      "AUTH_REQUEST",
        "AUTH_ACK", "UPDATE", "MFSTART", "MODULE", "PUBLISHSHARD",
    };
    buf_printf(b, "%s %zu %.40s %s:%u/%u@%u %u %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %.40s ", types[f->type], size,
               f->sender, f->ip[0] ? f->ip : "-", f->port, f->other_port, f->bus_port, f->flags, f->state, f->mflags[0],
               f->current_epoch, f->config_epoch, f->offset, f->master ? f->master : "-");
    print_slots(b, f->slots);
    print_gossip(b, f);
    print_extensions(b, f);
    if (f->type == WIRE_FAIL)
        buf_printf(b, " fail:%.40s", f->fail.name);
    if (f->type == WIRE_UPDATE) {
        buf_printf(b, " update:%.40s/%" PRIu64 "/", f->update.name, f->update.epoch);
        print_slots(b, f->update.slots);
    }
    if (f->type == WIRE_MODULE)
        buf_printf(b, " module:%016" PRIx64 "/%u/%.*s", f->module.id, f->module.type, (int)f->module.payload.n,
                   f->module.payload.p);
    if (f->type == WIRE_PUBLISH || f->type == WIRE_PUBLISHSHARD)
        buf_printf(b, " publish:%.*s/%.*s", (int)f->publish.channel.n, f->publish.channel.p, (int)f->publish.message.n,
                   f->publish.message.p);
}

/* Puts gossip and extensions together again from what was read of them. */
static void rebuild(struct frame *f, char *gossip, char *ext)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct gossip_entry e;
        wire_gossip_get(f->gossip, i, &e);
        wire_gossip_put(gossip + i * WIRE_GOSSIP, &e);
    }
    struct wire_ext x;
    while (wire_ext_next(f->ext, &at, &x))
        n += wire_ext_put(ext + n, &x);
    cr_assert_eq(n, f->ext.n);
    f->gossip.p = gossip;
    f->ext.p = ext;
}

static void check_file(const char *name, int frames)
{
    char bin[64], txt[64], line[64 * 1024];
    snprintf(bin, sizeof bin, "%s.bin", name);
    snprintf(txt, sizeof txt, "%s.txt", name);
    struct buf whole = read_whole(bin), expected = read_whole(txt), got = BUF_INIT(1 << 24);
    struct bytes rest = buf_bytes(&whole);
    int seen = 0;
    for (; rest.n; seen++) {
        size_t n = length_at(rest);
        struct frame f;
        cr_assert(wire_decode(bytes_of(rest.p, n), &f), "%s, frame %d", name, seen);
        print_frame(&got, &f, n);
        buf_append_char(&got, '\n');

        char *gossip = malloc(n), *ext = malloc(n), *again = malloc(n);
        rebuild(&f, gossip, ext);
        cr_assert_eq(wire_size(&f), n);
        wire_encode(&f, again);
        cr_assert_eq(memcmp(again, rest.p, n), 0, "%s, frame %d", name, seen);
        free(gossip);
        free(ext);
        free(again);
        rest = bytes_of(rest.p + n, rest.n - n);
    }
    cr_assert_eq(seen, frames);
    struct bytes want = buf_bytes(&expected), have = buf_bytes(&got);
    for (int i = 1; want.n || have.n; i++) {
        const char *w_end = memchr(want.p, '\n', want.n), *h_end = memchr(have.p, '\n', have.n);
        cr_assert(w_end && h_end, "%s, line %d", name, i);
        struct bytes w = bytes_of(want.p, (size_t)(w_end - want.p)), h = bytes_of(have.p, (size_t)(h_end - have.p));
        snprintf(line, sizeof line, "%s, line %d:\n%.*s\n%.*s", name, i, (int)w.n, w.p, (int)h.n, h.p);
        cr_assert(bytes_eq(w, h), "%s", line);
        want = bytes_of(w_end + 1, want.n - w.n - 1);
        have = bytes_of(h_end + 1, have.n - h.n - 1);
    }
    buf_done(&whole);
    buf_done(&expected);
    buf_done(&got);
}

Test(wire, frames_of_real_servers_are_understood_and_come_out_bit_for_bit)
{
    check_file("redis-7.0.15-frames", 32);
    check_file("redis-7.2.6-frames", 49);
    check_file("redis-7.2.6-module", 2);
}

static const uint8_t no_slots[WIRE_SLOTS];
static const char name[] = "0123456789abcdef0123456789abcdef01234567";

static struct frame plain(enum wire_type type)
{
    return (struct frame){ .type = (uint16_t)type, .sender = name, .slots = no_slots };
}

Test(wire, a_frame_is_exactly_as_long_as_its_type_says)
{
    struct frame frames[] = { plain(WIRE_PING),    plain(WIRE_FAIL),         plain(WIRE_UPDATE),
                              plain(WIRE_MFSTART), plain(WIRE_AUTH_REQUEST), plain(WIRE_AUTH_ACK),
                              plain(WIRE_MODULE),  plain(WIRE_PUBLISH),      plain(WIRE_PUBLISHSHARD) };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct frame *f = &frames[i], back;
        if (f->type == WIRE_FAIL)
            f->fail.name = name;
        if (f->type == WIRE_UPDATE) {
            f->update.name = name;
            f->update.slots = no_slots;
        }
        size_t n = wire_size(f);
        char *p = calloc(1, n + 1);
        wire_encode(f, p);
        cr_assert(wire_decode(bytes_of(p, n), &back), "type %u", f->type);
        cr_assert_not(wire_decode(bytes_of(p, n - 1), &back), "type %u, cut", f->type);
        cr_assert_not(wire_decode(bytes_of(p, n + 1), &back), "type %u, longer than it says", f->type);
        p[7]++;
        cr_assert_not(wire_decode(bytes_of(p, n + 1), &back), "type %u, longer than its kind is", f->type);
        free(p);
    }
}

Test(wire, what_cannot_stand_in_nodes_conf_is_refused)
{
    static const struct {
        size_t at;
        const char *bytes;
        const char *what;
    } cases[] = {
        { 40, "G", "a name that is not hex" },  { 40, "A", "upper case" },       { 2128, "x", "a master's name" },
        { 2168, "1.2.3.4 x", "space in an ip" }, { 2168, "1,2", "comma in an ip" }, { 8, "\x01", "version" },
        { 0, "X", "magic" },                    { 12, "\x7f", "type" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame f = plain(WIRE_PING), back;
        char p[WIRE_HEADER];
        wire_encode(&f, p);
        cr_assert(wire_decode(bytes_of(p, sizeof p), &back));
        memcpy(p + cases[i].at, cases[i].bytes, strlen(cases[i].bytes));
        cr_assert_not(wire_decode(bytes_of(p, sizeof p), &back), "%s", cases[i].what);
    }
}

Test(wire, an_unknown_extension_is_stepped_over)
{
    static const char ext[] = "\0\0\0\x10\0\x05\0\0abcdefgh\0\0\0\x18\0\0\0\0host.example\0\0\0\0";
    struct frame f = plain(WIRE_PONG), back;
    f.extensions = 2;
    f.mflags[0] = WIRE_EXT_DATA;
    f.ext = bytes_of(ext, sizeof ext - 1);
    char p[WIRE_HEADER + sizeof ext];
    wire_encode(&f, p);
    cr_assert(wire_decode(bytes_of(p, wire_size(&f)), &back));
    size_t at = 0;
    struct wire_ext x;
    cr_assert(wire_ext_next(back.ext, &at, &x) && x.type == 5);
    cr_assert(wire_ext_next(back.ext, &at, &x) && bytes_eq(x.text, BYTES("host.example")));
    cr_assert_not(wire_ext_next(back.ext, &at, &x));
}

Test(wire, mutated_frames_are_refused_or_come_out_as_they_went_in)
{
    struct buf whole = read_whole("redis-7.2.6-frames.bin");
    struct prng r;
    prng_init(&r, 7);
    for (int round = 0; round < 200; round++) {
        struct bytes rest = buf_bytes(&whole);
        while (rest.n) {
            size_t n = length_at(rest);
            char *p = malloc(n), *again = malloc(n);
            memcpy(p, rest.p, n);
            for (uint64_t k = prng_below(&r, 4) + 1; k; k--)
                p[prng_below(&r, 2) ? prng_below(&r, 40) : prng_below(&r, n)] = (char)prng_u64(&r);
            struct frame f;
            if (wire_decode(bytes_of(p, n), &f)) {
                cr_assert_eq(wire_size(&f), n);
                wire_encode(&f, again);
            }
            free(p);
            free(again);
            rest = bytes_of(rest.p + n, rest.n - n);
        }
    }
    buf_done(&whole);
}
