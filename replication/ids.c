#include "replication/ids.h"

#include "common/sha.h"
#include "common/text.h"

void ids_next(struct ids *ids, struct repl_id *ret_id)
{
    struct sha256 sha;
    unsigned char digest[SHA256_BYTES];
    ids->n++;
    sha256_init(&sha);
    sha256_add(&sha, bytes_of(ids->seed, sizeof(ids->seed)));
    sha256_add(&sha, bytes_of(&ids->n, sizeof(ids->n)));
    sha256_done(&sha, digest);
    text_hex(ret_id->hex, digest, REPL_ID_LEN / 2);
    ret_id->hex[REPL_ID_LEN] = 0;
}

bool ids_parse(struct bytes in, struct repl_id *ret_id)
{
    unsigned char raw[REPL_ID_LEN / 2];
    if (!text_unhex(raw, sizeof(raw), in))
        return false;
    text_hex(ret_id->hex, raw, sizeof(raw));
    ret_id->hex[REPL_ID_LEN] = 0;
    return true;
}
