/* Runs a fuzz driver without libFuzzer: the given files and folders as they are, then a bounded
 * number of mutations of them, the same ones for the same seed. This is what ordinary builds (gcc,
 * sanitizers) run as a test.
 *
 *   num_fuzz [-runs=N] [-seed=N] [-max_len=N] [FILE | FOLDER]...
 *
 * When the driver crashes, the input is left in ./crash-SEED-RUN, ready to be given as FILE. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/prng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));

struct input {
    uint8_t *p;
    size_t n;
};

static struct {
    struct input *inputs;
    size_t n, cap;
} corpus;

static struct {
    uint64_t runs, seed;
    size_t max_len;
} options = { .runs = 2000, .seed = 1, .max_len = 4096 };

/* ---- leaving a crash behind ---- */

static struct input current;
static char crash_path[64];

static void save_crash(void)
{
    int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return;
    ssize_t w = write(fd, current.p, current.n);
    (void)w; /* the process is dying */
    close(fd);
    w = write(STDERR_FILENO, crash_path, strlen(crash_path));
    w = write(STDERR_FILENO, " holds the input\n", 17);
}

static void on_signal(int number)
{
    save_crash();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_for_crashes(void)
{
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(save_crash);
    static const int fatal[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], on_signal);
}

/* A copy of exactly the size, so that a sanitizer sees every byte read too far. */
static void run_once(const uint8_t *p, size_t n, uint64_t run)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, p, n);
    current = (struct input){ copy, n };
    snprintf(crash_path, sizeof crash_path, "crash-%llu-%llu", (unsigned long long)options.seed,
             (unsigned long long)run);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

/* ---- the corpus ---- */

static void add_input(uint8_t *p, size_t n)
{
    if (corpus.n == corpus.cap) {
        corpus.cap = corpus.cap ? corpus.cap * 2 : 64;
        corpus.inputs = realloc(corpus.inputs, corpus.cap * sizeof *corpus.inputs);
        if (!corpus.inputs)
            abort();
    }
    corpus.inputs[corpus.n++] = (struct input){ p, n };
}

static bool add_file(const char *path, off_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *p = malloc((size_t)size + 1);
    if (!f || !p) {
        perror(path);
        free(p);
        if (f)
            fclose(f);
        return false;
    }
    add_input(p, fread(p, 1, (size_t)size, f));
    fclose(f);
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* A file, or the files of a folder in the order of their names (one level: corpora are flat). */
static bool add_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(st.st_mode))
        return add_file(path, st.st_size);

    struct dirent **entries;
    int n = scandir(path, &entries, NULL, by_name);
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char name[4096];
        int len = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (len > 0 && (size_t)len < sizeof name && stat(name, &st) == 0 && S_ISREG(st.st_mode))
            ok &= add_file(name, st.st_size);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return ok;
}

/* ---- mutations ---- */

static size_t pick(struct prng *r, size_t n)
{
    return (size_t)prng_below(r, n);
}

static void remove_part(struct prng *r, struct input *m)
{
    if (m->n == 0)
        return;
    size_t at = pick(r, m->n), n = pick(r, m->n - at) + 1;
    memmove(m->p + at, m->p + at + n, m->n - at - n);
    m->n -= n;
}

/* Inserts bytes at random: noise, one byte again and again, or a part of another input. */
static void insert_part(struct prng *r, struct input *m)
{
    size_t room = options.max_len - m->n;
    if (room == 0)
        return;
    const struct input *from = &corpus.inputs[pick(r, corpus.n)];
    size_t at = pick(r, m->n + 1), n = pick(r, room < 32 ? room : 32) + 1, kind = pick(r, 3),
           start = 0;
    if (kind == 2) {
        if (from->n == 0)
            return;
        start = pick(r, from->n);
        n = pick(r, from->n - start) + 1;
        if (n > room)
            n = room;
    }
    memmove(m->p + at + n, m->p + at, m->n - at);
    if (kind == 0)
        for (size_t i = 0; i < n; i++)
            m->p[at + i] = (uint8_t)prng_u64(r);
    else if (kind == 1)
        memset(m->p + at, (int)pick(r, 256), n);
    else
        memcpy(m->p + at, from->p + start, n);
    m->n += n;
}

static void change_byte(struct prng *r, struct input *m)
{
    static const uint8_t odd[] = { 0,   1,    0x7f, 0x80, 0xff, '0', '9',
                                   '-', '\n', '\r', '*',  '$',  '"', '\\' };
    if (m->n == 0)
        return;
    uint8_t *b = &m->p[pick(r, m->n)];
    switch (pick(r, 4)) {
    case 0: *b ^= (uint8_t)(1 << pick(r, 8)); break;
    case 1: *b = (uint8_t)prng_u64(r); break;
    case 2: *b = odd[pick(r, sizeof odd)]; break;
    default: *b = (uint8_t)(*b + pick(r, 9) - 4); break;
    }
}

/* A number of 2 to 8 bytes becomes one that breaks careless arithmetic. */
static void change_number(struct prng *r, struct input *m)
{
    static const uint64_t odd[] = { 0,
                                    1,
                                    0x7f,
                                    0xff,
                                    0x7fff,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    INT64_MAX,
                                    (uint64_t)INT64_MAX + 1,
                                    UINT64_MAX,
                                    UINT64_MAX - 7 };
    size_t n = (size_t)2 << pick(r, 3);
    if (m->n < n)
        return;
    uint64_t v = odd[pick(r, sizeof odd / sizeof *odd)];
    if (pick(r, 2))
        v = __builtin_bswap64(v) >> (64 - 8 * n);
    memcpy(m->p + pick(r, m->n - n + 1), &v, n);
}

static void mutate(struct prng *r, struct input *m)
{
    for (size_t steps = pick(r, 6) + 1; steps; steps--) {
        switch (pick(r, 8)) {
        case 0: remove_part(r, m); break;
        case 1:
        case 2: insert_part(r, m); break;
        case 3: change_number(r, m); break;
        default: change_byte(r, m); break;
        }
    }
}

static void run_mutations(void)
{
    struct prng r;
    prng_init(&r, options.seed);
    struct input m = { malloc(options.max_len + 1), 0 };
    if (!m.p)
        abort();
    for (uint64_t run = 1; run <= options.runs; run++) {
        const struct input *from = &corpus.inputs[pick(&r, corpus.n)];
        m.n = from->n < options.max_len ? from->n : options.max_len;
        if (m.n)
            memcpy(m.p, from->p, m.n);
        mutate(&r, &m);
        run_once(m.p, m.n, run);
    }
    free(m.p);
}

/* ---- */

static bool read_option(const char *arg)
{
    static const char *const names[] = { "-runs=", "-seed=", "-max_len=" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(arg, names[i], n) != 0)
            continue;
        char *end;
        uint64_t v = strtoull(arg + n, &end, 10);
        if (*end || end == arg + n)
            return false;
        if (i == 0)
            options.runs = v;
        else if (i == 1)
            options.seed = v;
        else
            options.max_len = (size_t)v;
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '-' ? !read_option(argv[i]) : !add_path(argv[i])) {
            fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-max_len=N] [FILE | FOLDER]...\n",
                    argv[0]);
            return 2;
        }
    watch_for_crashes();
    for (size_t i = 0; i < corpus.n; i++)
        run_once(corpus.inputs[i].p, corpus.inputs[i].n, 0);
    size_t files = corpus.n;
    add_input(calloc(1, 1), 0);
    run_mutations();
    printf("%zu files, %llu mutations from seed %llu\n", files, (unsigned long long)options.runs,
           (unsigned long long)options.seed);
    for (size_t i = 0; i < corpus.n; i++)
        free(corpus.inputs[i].p);
    free(corpus.inputs);
    return 0;
}
