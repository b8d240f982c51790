/* The frames of the cluster bus, as bytes and as a struct. Pure; trusts nothing it reads.
 *
 *   0 "RCmb"  4 length  8 version 1  10 port  12 type  14 count  16 current epoch  24 config epoch  32 offset
 *   40 sender[40]  80 slots[2048]  2128 master[40]  2168 ip[46]  2214 extensions  2216 reserved[30]
 *   2246 other port  2248 bus port  2250 flags  2252 state  2253 mflags[3]                        2256 bytes, then
 *   PING PONG MEET  count entries of 104, then extensions      FAIL  name[40]
 *   PUBLISH(SHARD)  u32 channel, u32 message, both             UPDATE  u64 epoch, name[40], slots[2048]
 *   MODULE          u64 id, u32 length, u8 type, payload       FAILOVER_AUTH_*, MFSTART  nothing
 *
 * All integers are big-endian. A frame is exactly as long as its type and counts say. */
#pragma once

#include "cluster/cluster.h"

#define WIRE_HEADER 2256
#define WIRE_GOSSIP 104
#define WIRE_SLOTS  (CLUSTER_SLOTS / 8)

enum wire_type {
    WIRE_PING,
    WIRE_PONG,
    WIRE_MEET,
    WIRE_FAIL,
    WIRE_PUBLISH,
    WIRE_AUTH_REQUEST,
    WIRE_AUTH_ACK,
    WIRE_UPDATE,
    WIRE_MFSTART,
    WIRE_MODULE,
    WIRE_PUBLISHSHARD,
    WIRE_TYPES
};

enum { WIRE_PAUSED = 1, WIRE_FORCEACK = 2, WIRE_EXT_DATA = 4 }; /* of mflags[0] */
enum { WIRE_EXT_HOSTNAME, WIRE_EXT_NODENAME, WIRE_EXT_FORGOTTEN, WIRE_EXT_SHARD };

/* Decoded: texts and bitmaps point into the frame; on encoding from anywhere. Names are 40 bytes without NUL. */
struct frame {
    uint16_t type, count, port, other_port, bus_port, flags, extensions;
    uint8_t state, mflags[3];
    uint64_t current_epoch, config_epoch, offset;
    const char *sender;
    const uint8_t *slots;   /* WIRE_SLOTS bytes */
    const char *master;     /* NULL: forty zero bytes */
    char ip[CLUSTER_IP];    /* NUL-terminated */
    struct bytes gossip;    /* count * WIRE_GOSSIP */
    struct bytes ext;
    union {
        struct {
            const char *name;
        } fail;
        struct {
            struct bytes channel, message;
        } publish;
        struct {
            uint64_t epoch;
            const char *name;
            const uint8_t *slots;
        } update;
        struct {
            uint64_t id;
            uint8_t type;
            struct bytes payload;
        } module;
    };
};

struct gossip_entry {
    const char *name;
    uint32_t ping_sent_s, pong_received_s;
    char ip[CLUSTER_IP];
    uint16_t port, bus_port, flags, other_port;
};

struct wire_ext {
    uint16_t type;
    struct bytes text;      /* hostname, nodename: without NUL; shard: 40 bytes */
    const char *name;       /* forgotten node */
    uint64_t ttl_s;
};

/* False: the frame is to be dropped (wrong version, length, or a name that is none). */
bool wire_decode(struct bytes, struct frame *ret);
size_t wire_size(const struct frame *); /* of the encoded frame */
void wire_encode(const struct frame *, char *dst);

void wire_gossip_get(struct bytes gossip, size_t i, struct gossip_entry *ret);
void wire_gossip_put(char *dst, const struct gossip_entry *);
/* Walks the extensions: *at begins as 0. False at the end. Types unknown to us come with their bytes in `text`. */
bool wire_ext_next(struct bytes ext, size_t *at, struct wire_ext *ret);
size_t wire_ext_put(char *dst, const struct wire_ext *); /* dst NULL: only the size */

bool wire_name_ok(const char *name);         /* forty lower-case hex digits */
bool wire_text_ok(struct bytes);             /* may stand in nodes.conf: printable, no space, comma, quote, equals */
const char *wire_type_name(unsigned type);   /* as in CLUSTER INFO: "auth-req" */
