/* Bytes <-> struct frame (see wire.h). */
#include "cluster/wire.h"

#include "common/assert.h"

enum {
    AT_LENGTH = 4,
    AT_VERSION = 8,
    AT_PORT = 10,
    AT_TYPE = 12,
    AT_COUNT = 14,
    AT_CURRENT_EPOCH = 16,
    AT_CONFIG_EPOCH = 24,
    AT_OFFSET = 32,
    AT_SENDER = 40,
    AT_SLOTS = 80,
    AT_MASTER = 2128,
    AT_IP = 2168,
    AT_EXTENSIONS = 2214,
    AT_OTHER_PORT = 2246,
    AT_BUS_PORT = 2248,
    AT_FLAGS = 2250,
    AT_STATE = 2252,
    AT_MFLAGS = 2253,
};

static uint16_t get16(const char *p)
{
    const uint8_t *u = (const uint8_t *)p;
    return (uint16_t)(u[0] << 8 | u[1]);
}

static uint32_t get32(const char *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint64_t get64(const char *p)
{
    return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static void put16(char *p, uint16_t v)
{
    p[0] = (char)(v >> 8);
    p[1] = (char)v;
}

static void put32(char *p, uint32_t v)
{
    put16(p, (uint16_t)(v >> 16));
    put16(p + 2, (uint16_t)v);
}

static void put64(char *p, uint64_t v)
{
    put32(p, (uint32_t)(v >> 32));
    put32(p + 4, (uint32_t)v);
}

bool wire_name_ok(const char *name)
{
    for (int i = 0; i < CLUSTER_NAME; i++)
        if (!((name[i] >= '0' && name[i] <= '9') || (name[i] >= 'a' && name[i] <= 'f')))
            return false;
    return true;
}

bool wire_text_ok(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr(",\"'=\\", s.p[i]))
            return false;
    return true;
}

/* Copies a NUL-padded address. False: not terminated, or bytes that no address has. */
static bool get_ip(const char *p, char ret[CLUSTER_IP])
{
    size_t n = strnlen(p, CLUSTER_IP);
    if (n == CLUSTER_IP || !wire_text_ok(bytes_of(p, n)) || memchr(p, '@', n))
        return false;
    memset(ret, 0, CLUSTER_IP);
    memcpy(ret, p, n);
    return true;
}

static bool is_gossip(unsigned type)
{
    return type == WIRE_PING || type == WIRE_PONG || type == WIRE_MEET;
}

/* ---- decoding ---- */

static bool decode_gossip(struct bytes body, struct frame *f)
{
    size_t n = (size_t)f->count * WIRE_GOSSIP;
    if (n > body.n)
        return false;
    f->gossip = bytes_of(body.p, n);
    f->ext = bytes_of(body.p + n, body.n - n);
    for (size_t i = 0; i < f->count; i++) {
        char ip[CLUSTER_IP];
        const char *e = body.p + i * WIRE_GOSSIP;
        if (!wire_name_ok(e) || !get_ip(e + 48, ip))
            return false;
    }
    if (!(f->mflags[0] & WIRE_EXT_DATA))
        return f->ext.n == 0;
    size_t at = 0;
    unsigned seen = 0;
    struct wire_ext x;
    while (wire_ext_next(f->ext, &at, &x))
        seen++;
    return at == f->ext.n && seen == f->extensions;
}

static bool decode_publish(struct bytes body, struct frame *f)
{
    if (body.n < 8)
        return false;
    uint64_t channel = get32(body.p), message = get32(body.p + 4);
    if (channel + message != body.n - 8)
        return false;
    f->publish.channel = bytes_of(body.p + 8, channel);
    f->publish.message = bytes_of(body.p + 8 + channel, message);
    return true;
}

static bool decode_update(struct bytes body, struct frame *f)
{
    if (body.n != 8 + CLUSTER_NAME + WIRE_SLOTS)
        return false;
    f->update.epoch = get64(body.p);
    f->update.name = body.p + 8;
    f->update.slots = (const uint8_t *)body.p + 8 + CLUSTER_NAME;
    return wire_name_ok(f->update.name);
}

static bool decode_module(struct bytes body, struct frame *f)
{
    if (body.n < 13 || get32(body.p + 8) != body.n - 13)
        return false;
    memcpy(&f->module.id, body.p, 8);       /* opaque: as sent */
    f->module.type = (uint8_t)body.p[12];
    f->module.payload = bytes_of(body.p + 13, body.n - 13);
    return true;
}

static bool decode_body(struct bytes body, struct frame *f)
{
    switch (f->type) {
    case WIRE_PING:
    case WIRE_PONG:
    case WIRE_MEET:
        return decode_gossip(body, f);
    case WIRE_FAIL:
        f->fail.name = body.p;
        return body.n == CLUSTER_NAME && wire_name_ok(body.p);
    case WIRE_PUBLISH:
    case WIRE_PUBLISHSHARD:
        return decode_publish(body, f);
    case WIRE_UPDATE:
        return decode_update(body, f);
    case WIRE_MODULE:
        return decode_module(body, f);
    case WIRE_AUTH_REQUEST:
    case WIRE_AUTH_ACK:
    case WIRE_MFSTART:
        return body.n == 0;
    default:
        return false;
    }
}

bool wire_decode(struct bytes b, struct frame *f)
{
    static const char nobody[CLUSTER_NAME];
    if (b.n < WIRE_HEADER || memcmp(b.p, "RCmb", 4) != 0 || get32(b.p + AT_LENGTH) != b.n ||
        get16(b.p + AT_VERSION) != 1)
        return false;
    *f = (struct frame){
        .type = get16(b.p + AT_TYPE),
        .count = get16(b.p + AT_COUNT),
        .port = get16(b.p + AT_PORT),
        .other_port = get16(b.p + AT_OTHER_PORT),
        .bus_port = get16(b.p + AT_BUS_PORT),
        .flags = get16(b.p + AT_FLAGS),
        .extensions = get16(b.p + AT_EXTENSIONS),
        .state = (uint8_t)b.p[AT_STATE],
        .current_epoch = get64(b.p + AT_CURRENT_EPOCH),
        .config_epoch = get64(b.p + AT_CONFIG_EPOCH),
        .offset = get64(b.p + AT_OFFSET),
        .sender = b.p + AT_SENDER,
        .slots = (const uint8_t *)b.p + AT_SLOTS,
    };
    memcpy(f->mflags, b.p + AT_MFLAGS, 3);
    if (!wire_name_ok(f->sender) || !get_ip(b.p + AT_IP, f->ip))
        return false;
    if (memcmp(b.p + AT_MASTER, nobody, CLUSTER_NAME) != 0) {
        f->master = b.p + AT_MASTER;
        if (!wire_name_ok(f->master))
            return false;
    }
    return decode_body(bytes_of(b.p + WIRE_HEADER, b.n - WIRE_HEADER), f);
}

void wire_gossip_get(struct bytes gossip, size_t i, struct gossip_entry *e)
{
    ASSERT((i + 1) * WIRE_GOSSIP <= gossip.n);
    const char *p = gossip.p + i * WIRE_GOSSIP;
    e->name = p;
    e->ping_sent_s = get32(p + 40);
    e->pong_received_s = get32(p + 44);
    memcpy(e->ip, p + 48, CLUSTER_IP); /* terminated: wire_decode has seen to it */
    e->port = get16(p + 94);
    e->bus_port = get16(p + 96);
    e->flags = get16(p + 98);
    e->other_port = get16(p + 100);
}

void wire_gossip_put(char *p, const struct gossip_entry *e)
{
    memset(p, 0, WIRE_GOSSIP);
    memcpy(p, e->name, CLUSTER_NAME);
    put32(p + 40, e->ping_sent_s);
    put32(p + 44, e->pong_received_s);
    memcpy(p + 48, e->ip, strnlen(e->ip, CLUSTER_IP - 1));
    put16(p + 94, e->port);
    put16(p + 96, e->bus_port);
    put16(p + 98, e->flags);
    put16(p + 100, e->other_port);
}

/* ---- extensions ---- */

bool wire_ext_next(struct bytes ext, size_t *at, struct wire_ext *x)
{
    if (ext.n - *at < 8)
        return false;
    const char *p = ext.p + *at;
    uint32_t size = get32(p);
    if (size < 8 || size % 8 || size > ext.n - *at)
        return false;
    *x = (struct wire_ext){ .type = get16(p + 4), .text = bytes_of(p + 8, size - 8) };
    switch (x->type) {
    case WIRE_EXT_HOSTNAME:
    case WIRE_EXT_NODENAME:
        if (x->text.n == 0 || x->text.p[x->text.n - 1] != '\0')
            return false;
        x->text.n = strlen(x->text.p);
        if (x->text.n >= CLUSTER_HOST || !wire_text_ok(x->text))
            return false;
        break;
    case WIRE_EXT_FORGOTTEN:
        if (size != 56 || !wire_name_ok(p + 8))
            return false;
        x->name = p + 8;
        x->ttl_s = get64(p + 48);
        break;
    case WIRE_EXT_SHARD:
        if (size != 48 || !wire_name_ok(p + 8))
            return false;
        break;
    }
    *at += size;
    return true;
}

size_t wire_ext_put(char *p, const struct wire_ext *x)
{
    bool text = x->type == WIRE_EXT_HOSTNAME || x->type == WIRE_EXT_NODENAME;
    size_t data = x->type == WIRE_EXT_FORGOTTEN ? 48 : text ? (x->text.n + 1 + 7) & ~(size_t)7 : x->text.n;
    size_t size = 8 + data;
    ASSERT(size % 8 == 0);
    if (!p)
        return size;
    memset(p, 0, size);
    put32(p, (uint32_t)size);
    put16(p + 4, x->type);
    if (x->type == WIRE_EXT_FORGOTTEN) {
        memcpy(p + 8, x->name, CLUSTER_NAME);
        put64(p + 48, x->ttl_s);
    } else if (x->text.n) {
        memcpy(p + 8, x->text.p, x->text.n);
    }
    return size;
}

/* ---- encoding ---- */

static size_t body_size(const struct frame *f)
{
    switch (f->type) {
    case WIRE_FAIL:
        return CLUSTER_NAME;
    case WIRE_PUBLISH:
    case WIRE_PUBLISHSHARD:
        return 8 + f->publish.channel.n + f->publish.message.n;
    case WIRE_UPDATE:
        return 8 + CLUSTER_NAME + WIRE_SLOTS;
    case WIRE_MODULE:
        return 13 + f->module.payload.n;
    default:
        return is_gossip(f->type) ? f->gossip.n + f->ext.n : 0;
    }
}

size_t wire_size(const struct frame *f)
{
    return WIRE_HEADER + body_size(f);
}

static void put_bytes(char *p, struct bytes b)
{
    if (b.n)
        memcpy(p, b.p, b.n);
}

static void encode_body(const struct frame *f, char *p)
{
    switch (f->type) {
    case WIRE_FAIL:
        memcpy(p, f->fail.name, CLUSTER_NAME);
        break;
    case WIRE_PUBLISH:
    case WIRE_PUBLISHSHARD:
        put32(p, (uint32_t)f->publish.channel.n);
        put32(p + 4, (uint32_t)f->publish.message.n);
        put_bytes(p + 8, f->publish.channel);
        put_bytes(p + 8 + f->publish.channel.n, f->publish.message);
        break;
    case WIRE_UPDATE:
        put64(p, f->update.epoch);
        memcpy(p + 8, f->update.name, CLUSTER_NAME);
        memcpy(p + 8 + CLUSTER_NAME, f->update.slots, WIRE_SLOTS);
        break;
    case WIRE_MODULE:
        memcpy(p, &f->module.id, 8);
        put32(p + 8, (uint32_t)f->module.payload.n);
        p[12] = (char)f->module.type;
        put_bytes(p + 13, f->module.payload);
        break;
    default:
        if (is_gossip(f->type)) {
            put_bytes(p, f->gossip);
            put_bytes(p + f->gossip.n, f->ext);
        }
    }
}

void wire_encode(const struct frame *f, char *p)
{
    memset(p, 0, WIRE_HEADER);
    memcpy(p, "RCmb", 4);
    put32(p + AT_LENGTH, (uint32_t)wire_size(f));
    put16(p + AT_VERSION, 1);
    put16(p + AT_PORT, f->port);
    put16(p + AT_TYPE, f->type);
    put16(p + AT_COUNT, f->count);
    put64(p + AT_CURRENT_EPOCH, f->current_epoch);
    put64(p + AT_CONFIG_EPOCH, f->config_epoch);
    put64(p + AT_OFFSET, f->offset);
    memcpy(p + AT_SENDER, f->sender, CLUSTER_NAME);
    memcpy(p + AT_SLOTS, f->slots, WIRE_SLOTS);
    if (f->master)
        memcpy(p + AT_MASTER, f->master, CLUSTER_NAME);
    memcpy(p + AT_IP, f->ip, strnlen(f->ip, CLUSTER_IP - 1));
    put16(p + AT_EXTENSIONS, f->extensions);
    put16(p + AT_OTHER_PORT, f->other_port);
    put16(p + AT_BUS_PORT, f->bus_port);
    put16(p + AT_FLAGS, f->flags);
    p[AT_STATE] = (char)f->state;
    memcpy(p + AT_MFLAGS, f->mflags, 3);
    encode_body(f, p + WIRE_HEADER);
}

const char *wire_type_name(unsigned type)
{
    static const char *const names[WIRE_TYPES] = {
        "ping",     "pong",   "meet",    "fail",   "publish",      "auth-req",
        "auth-ack", "update", "mfstart", "module", "publishshard",
    };
    ASSERT(type < WIRE_TYPES);
    return names[type];
}
