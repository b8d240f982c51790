/* Ziplists and zipmaps, read only.
 *
 *   ziplist  bytes u32 | offset of the last entry u32 | entries u16 (65535: unknown) | entries | 0xFF
 *   little-endian
 *   entry    size of the one before (1 byte, or 254 and 4 bytes) | head | data
 *   head     00xxxxxx  01xxxxxx +1  10000000 +4: length of a string, big-endian
 *            C0 D0 E0 F0 FE: an integer of 2, 4, 8, 3, 1 bytes; F1..FD: 0..12
 *
 *   zipmap   pairs (254 and more: unknown) | pairs | 0xFF
 *   pair     length, field, length, value with `free` bytes behind it that mean nothing; `free` is the byte before it
 *   length   1 byte below 254, or 254 and 4 bytes */
#include "server/persist/rdb_old.h"

#include "common/checked.h"
#include "server/types/listpack.h"

/* What is left of the bytes. */
struct cursor {
    const uint8_t *p, *end;
};

static bool take(struct cursor *c, void *dst, size_t n)
{
    if ((size_t)(c->end - c->p) < n)
        return false;
    memcpy(dst, c->p, n);
    c->p += n;
    return true;
}

static bool take_bytes(struct cursor *c, size_t n, struct bytes *ret)
{
    if ((size_t)(c->end - c->p) < n)
        return false;
    *ret = bytes_of(c->p, n);
    c->p += n;
    return true;
}

static bool append(uint8_t **lp, struct bytes s)
{
    if (!lp_fits(*lp, s.n) || !lp_fits(*lp, s.n + LP_OVERHEAD_MAX))
        return false;
    lp_append(lp, s);
    return true;
}

static bool append_i64(uint8_t **lp, int64_t v)
{
    if (!lp_fits(*lp, LP_OVERHEAD_MAX + sizeof v))
        return false;
    lp_append_i64(lp, v);
    return true;
}

/* ---- ziplists ---- */

enum {
    ZL_HEADER = 10,
    ZL_END = 0xFF,
    ZL_LONG = 0xFE, /* four bytes of size follow */
    ZL_STR_14 = 0x40,
    ZL_STR_32 = 0x80,
    ZL_INT16 = 0xC0,
    ZL_INT32 = 0xD0,
    ZL_INT64 = 0xE0,
    ZL_INT24 = 0xF0,
    ZL_INT_0 = 0xF1, /* to 0xFD: the value 12 */
    ZL_INT_12 = 0xFD,
    ZL_INT8 = 0xFE,
};

static bool zl_string_length(struct cursor *c, uint8_t head, size_t *ret_n)
{
    if (head < ZL_STR_14) {
        *ret_n = head;
        return true;
    }
    if (head < ZL_STR_32) {
        uint8_t low;
        if (!take(c, &low, 1))
            return false;
        *ret_n = (size_t)(head & 63) << 8 | low;
        return true;
    }
    uint32_t n;
    if (head != ZL_STR_32 || !take(c, &n, sizeof n))
        return false;
    *ret_n = __builtin_bswap32(n);
    return true;
}

static bool zl_integer(struct cursor *c, uint8_t head, int64_t *ret_v)
{
    int64_t v = 0;
    size_t n;
    if (head >= ZL_INT_0 && head <= ZL_INT_12) {
        *ret_v = head - ZL_INT_0;
        return true;
    }
    switch (head) {
    case ZL_INT8:
        n = 1;
        break;
    case ZL_INT16:
        n = 2;
        break;
    case ZL_INT24:
        n = 3;
        break;
    case ZL_INT32:
        n = 4;
        break;
    case ZL_INT64:
        n = 8;
        break;
    default:
        return false;
    }
    if (!take(c, (char *)&v + sizeof v - n,
              n)) /* to the upper end, so that the shift brings the sign */
        return false;
    *ret_v = v >> 8 * (sizeof v - n);
    return true;
}

static bool zl_entry(struct cursor *c, size_t before, uint8_t **lp)
{
    uint8_t size1, head;
    uint32_t size;
    if (!take(c, &size1, 1))
        return false;
    size = size1;
    if (size1 == ZL_END || (size1 == ZL_LONG && !take(c, &size, sizeof size)) || size != before ||
        !take(c, &head, 1))
        return false;
    if (head < ZL_INT16) {
        size_t n;
        struct bytes s;
        return zl_string_length(c, head, &n) && take_bytes(c, n, &s) && append(lp, s);
    }
    int64_t v;
    return zl_integer(c, head, &v) && append_i64(lp, v);
}

static bool zl_entries(const uint8_t *zl, size_t n, uint32_t tail, uint16_t count, uint8_t **lp)
{
    struct cursor c = { zl + ZL_HEADER, zl + n - 1 };
    const uint8_t *last = c.p;
    size_t before = 0;
    uint64_t seen = 0;
    while (c.p < c.end) {
        const uint8_t *entry = c.p;
        if (!zl_entry(&c, before, lp))
            return false;
        before = (size_t)(c.p - entry);
        last = entry;
        seen++;
    }
    return last == zl + tail && (count == UINT16_MAX || count == seen);
}

bool rdb_ziplist_to_listpack(struct bytes b, uint8_t **ret_lp)
{
    const uint8_t *zl = (const uint8_t *)b.p;
    uint32_t bytes, tail;
    uint16_t count;
    if (b.n < ZL_HEADER + 1 || zl[b.n - 1] != ZL_END)
        return false;
    memcpy(&bytes, zl, sizeof bytes);
    memcpy(&tail, zl + 4, sizeof tail);
    memcpy(&count, zl + 8, sizeof count);
    if (bytes != b.n || tail >= b.n)
        return false;
    uint8_t *lp = lp_new();
    if (!zl_entries(zl, b.n, tail, count, &lp)) {
        lp_free(lp);
        return false;
    }
    *ret_lp = lp;
    return true;
}

/* ---- zipmaps ---- */

enum { ZM_LONG = 254, ZM_END = 255 };

static bool zm_length(struct cursor *c, size_t *ret_n)
{
    uint8_t n1;
    uint32_t n;
    if (!take(c, &n1, 1) || n1 == ZM_END)
        return false;
    n = n1;
    if (n1 == ZM_LONG && !take(c, &n, sizeof n))
        return false;
    *ret_n = n;
    return true;
}

static bool zm_pair(struct cursor *c, uint8_t **lp)
{
    size_t n;
    uint8_t spare;
    struct bytes field, value, waste;
    return zm_length(c, &n) && take_bytes(c, n, &field) && zm_length(c, &n) && take(c, &spare, 1) &&
           take_bytes(c, n, &value) && take_bytes(c, spare, &waste) && append(lp, field) &&
           append(lp, value);
}

bool rdb_zipmap_to_listpack(struct bytes b, uint8_t **ret_lp)
{
    const uint8_t *zm = (const uint8_t *)b.p;
    if (b.n < 2 || zm[b.n - 1] != ZM_END)
        return false;
    struct cursor c = { zm + 1, zm + b.n - 1 };
    uint8_t *lp = lp_new();
    uint64_t pairs = 0;
    while (c.p < c.end) {
        if (!zm_pair(&c, &lp)) {
            lp_free(lp);
            return false;
        }
        pairs++;
    }
    if (zm[0] < ZM_LONG && zm[0] != pairs) {
        lp_free(lp);
        return false;
    }
    *ret_lp = lp;
    return true;
}
