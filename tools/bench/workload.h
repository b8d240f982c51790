/* What is sent: requests rendered beforehand as RESP, of which only a few digits change from one to
 * the next.
 *
 * A command is a template of words with placeholders. Every placeholder has a fixed width, so that
 * a request is rendered by copying and overwriting digits in place:
 *
 *     *3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$8\r\nq3k0x9ab\r\n
 *                                   ^ patch: 12 digits, drawn from the keys
 *
 * A range of value sizes becomes up to VALUE_FORMS_MAX forms of the same command with sizes spread
 * evenly over it. */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "tools/bench/keys.h"
#include "tools/bench/options.h"

#define VALUE_FORMS_MAX 256
#define PICKS 4096 /* entries of the table a mix is drawn from */
#define COMMAND_NAME_MAX 24

enum patch_source {
    PATCH_KEY,
    PATCH_FIELD,
    PATCH_SCORE,
};

struct patch {
    uint32_t offset; /* of the first digit in the request */
    uint8_t digits, source;
};

struct form {
    char *bytes;
    size_t n;
    struct patch *patches;
    uint32_t patches_n;
};

struct workload_command {
    char name[COMMAND_NAME_MAX]; /* upper case */
    double weight;
    uint32_t keys_n; /* keys drawn by one request */
    struct form *forms;
    uint32_t forms_n;
};

struct workload {
    struct workload_command commands[OPTIONS_COMMANDS_MAX];
    uint32_t commands_n;
    size_t request_max; /* bytes of the longest request */
    bool fixed;         /* one command, one form: every request has the same layout */
    struct keys keys, fields;
    struct prng random;
    uint64_t scores_n;
    uint8_t picks[PICKS];
};

/* Builds the workload the options describe. False: `ret_error` says why, as text for the user. */
bool workload_init(struct workload *, const struct options *, struct buf *ret_error);
void workload_done(struct workload *);

/* Writes one request at dst (request_max bytes are there); returns its size, and which command it
 * is. */
size_t workload_render(struct workload *, char *dst, uint8_t *ret_command);

/* For fixed workloads: overwrites the digits of a request that is already at dst. */
void workload_patch(struct workload *, char *dst);

/* How many requests fill the key space once. */
uint64_t workload_fill(const struct workload *);

struct builtin {
    const char *name, *text;
    const char *prefix; /* of __key__; NULL = options.key_prefix */
};

/* The template behind a name in --mix, or NULL; names in any case. builtin_at lists them all, NULL
 * at the end. */
const struct builtin *builtin_find(struct bytes name);
const struct builtin *builtin_at(uint32_t i);
