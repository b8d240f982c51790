/* Requests kept beyond their turn (see kept.h). */
#include "server/kept.h"

#include "common/alloc.h"

struct kept *kept_new(int argc, const struct bytes *argv, struct blob **take_blobs)
{
    size_t n = (size_t)argc;
    size_t texts = sizeof(struct kept) + n * sizeof(*argv) + (take_blobs ? n * sizeof(*take_blobs) : 0);
    size_t total = texts;
    for (size_t i = 0; i < n; i++)
        total += take_blobs && take_blobs[i] ? 0 : argv[i].n;
    struct kept *k = mem_alloc(total);
    k->next = NULL;
    k->argc = argc;
    k->memory = total;
    k->blobs = take_blobs ? (struct blob **)(k->argv + n) : NULL;
    char *p = (char *)k + texts;
    for (size_t i = 0; i < n; i++) {
        k->argv[i] = argv[i];
        if (k->blobs) {
            k->blobs[i] = take_blobs[i];
            take_blobs[i] = NULL;
            if (k->blobs[i])
                continue;
        }
        if (argv[i].n)
            memcpy(p, argv[i].p, argv[i].n);
        k->argv[i].p = p;
        p += argv[i].n;
    }
    return k;
}

void kept_free(struct kept *k)
{
    if (!k)
        return;
    for (int i = 0; k->blobs && i < k->argc; i++)
        blob_unref(k->blobs[i]);
    mem_free(k);
}
