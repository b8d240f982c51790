/* What the tests of the configuration share: a folder of their own, files in it, a load whose
 * complaint can be read. The configuration is linked without a node; the functions that apply
 * values only count their calls. */
#pragma once

#include "server/config.h"
#include "server/options.h"

extern int applied;            /* calls of apply_* since it was last set to 0 */
extern const char *fail_apply; /* apply_* fails with this text while it is not NULL */

void folder_enter(void); /* a new folder is the working directory */
void write_file(const char *path, const char *text);
const char *read_file(const char *path); /* until the next call */

struct loaded {
    struct options options;
    struct config *config;
    int result;      /* of config_load */
    char said[8192]; /* what it printed to stderr */
};
/* config_load with argv[1..] = the words, NULL-terminated. `input`: its standard input, or NULL. */
struct loaded *load(const char *const *words, const char *input);
struct loaded *load_text(const char *text); /* a file "test.conf" with that text */
void unload(struct loaded *);
#define LOAD(...) load((const char *const[]){ __VA_ARGS__, NULL }, NULL)

/* CONFIG SET of "name value name value ..." (quoted as in a file); the error's text or "OK", until
 * the next call. */
const char *set(struct config *, const char *pairs);
const char *set_protected(struct config *,
                          const char *pairs); /* as a client that may set protected ones */
const char *get(struct config *,
                const char *patterns); /* "name=value\n..." in order, until the next call */
