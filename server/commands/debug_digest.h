/* The digest of values and data sets: 160 bits that are equal exactly when the contents are, whatever the order of keys
 * and of unordered elements, the encoding and the history. Only equality between two of our own is promised. */
#pragma once

#include "server/keyspace/keyspace.h"

struct digest {
    unsigned char bits[20];
};

void digest_value(const struct entry *, struct digest *ret_digest);   /* type, content, expiry; not the key */
void digest_keyspace(struct keyspace *, struct digest *ret_digest);   /* zeros when there is no key */
void digest_hex(const struct digest *, char text[static 41]);
