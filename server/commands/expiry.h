/* Expiry times as SET, GETEX and the EXPIRE family read them from arguments and act on them. */
#pragma once

#include "common/checked.h"
#include "server/call.h"

/* The absolute time (ms since 1970) that `v` means: seconds or milliseconds, from now or from 1970.
 * False when it does not fit. Zero and negative values are fine here: they are in the past. */
static inline bool expiry_at(const struct call *c, int64_t v, bool seconds, bool relative,
                             msec_t *ret_at)
{
    if (seconds && !checked_mul_i64(v, 1000, &v))
        return false;
    if (relative && !checked_add_i64(v, c->now, &v))
        return false;
    *ret_at = v;
    return true;
}

/* A key with this expiry must not be kept. A replica keeps it: its master will send the DEL. */
static inline bool expiry_is_past(const struct call *c, msec_t at)
{
    return at <= c->now && !(c->flags & CALL_FROM_MASTER);
}

/* As ks_set_expire stores it: negative times would be taken for NO_EXPIRE. */
static inline msec_t expiry_stored(msec_t at)
{
    return at < 0 ? 0 : at;
}

/* Deletes a key whose new expiry is past, with DEL (or UNLINK) as the effect. */
static inline void expiry_delete(struct call *c, struct bytes key)
{
    bool lazy = ks_config(c->ks)->lazyfree_lazy_expire;
    if (!ks_delete(c->db, key, lazy ? KS_DEL_LAZY : KS_DEL_SYNC))
        return; /* SET of a key that was not there */
    ks_changed(c->db, key, NOTIFY_GENERIC, "del");
    struct bytes argv[2] = { lazy ? BYTES("UNLINK") : BYTES("DEL"), key };
    effect_replace(c, 2, argv);
}

/* The effect PEXPIREAT key at. */
static inline void expiry_effect(struct call *c, struct bytes key, msec_t at)
{
    struct bytes argv[3] = { BYTES("PEXPIREAT"), key, effect_i64(c, at) };
    effect_replace(c, 3, argv);
}
