/* ouro-lag HOST:PORT: watches replication from a terminal. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lag.h"

enum { ANSWER_MAX = 1 << 20 };

static const char usage[] =
    "Usage: ouro-lag HOST:PORT [options]\n"
    "Shows the role of a server, its replicas, how old their data are and how many bytes they are behind, how fast\n"
    "they take the stream, and when one that is too slow will be behind the backlog. Of a Redis master the age is not\n"
    "known.\n"
    "\n"
    "  --once           two looks, then the end\n"
    "  --json           a line of JSON for each look\n"
    "  --interval MS    between two looks (1000)\n"
    "  --user NAME, --pass SECRET   AUTH first; or REDISCLI_AUTH of the environment\n"
    "  --help\n";

struct options {
    const char *address, *user, *pass;
    char host[256], port[16];
    bool once, json;
    long interval_ms;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "ouro-lag: %s: %s\n", what, why);
    return 1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the command line ---- */

static bool split_address(struct options *o)
{
    const char *colon = strrchr(o->address, ':');
    size_t n = colon ? (size_t)(colon - o->address) : 0;
    if (!colon || n >= sizeof(o->host) || strlen(colon + 1) >= sizeof(o->port) || !colon[1])
        return false;
    memcpy(o->host, n ? o->address : "127.0.0.1", n ? n : 10);
    snprintf(o->port, sizeof(o->port), "%s", colon + 1);
    return true;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){ .interval_ms = 1000, .pass = getenv("REDISCLI_AUTH") };
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--once") == 0)
            o->once = true;
        else if (strcmp(a, "--json") == 0)
            o->json = true;
        else if (strcmp(a, "--interval") == 0 && value)
            o->interval_ms = atol(argv[++i]);
        else if (strcmp(a, "--user") == 0 && value)
            o->user = argv[++i];
        else if (strcmp(a, "--pass") == 0 && value)
            o->pass = argv[++i];
        else if (a[0] != '-' && !o->address)
            o->address = a;
        else
            return false;
    }
    return o->address && o->interval_ms > 0 && split_address(o);
}

/* ---- the server ---- */

static int dial(const struct options *o)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    int r = getaddrinfo(o->host, o->port, &hints, &found);
    if (r != 0) {
        fail(o->address, gai_strerror(r));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        fail(o->address, strerror(errno));
        return -1;
    }
    struct timeval limit = { .tv_sec = 10 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

/* A bulk or a line, without its frame, NUL-terminated; NULL after a complaint. */
static char *read_answer(FILE *in, char *answer)
{
    char line[512];
    if (!fgets(line, sizeof(line), in)) {
        fail("no answer", strerror(errno));
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '-') {
        fail("the server says", line + 1);
        return NULL;
    }
    if (line[0] != '$')
        return strcpy(answer, line + 1);
    long n = atol(line + 1);
    if (n < 0 || n > ANSWER_MAX - 3 || fread(answer, 1, (size_t)n + 2, in) != (size_t)n + 2) {
        fail("the answer", "is cut");
        return NULL;
    }
    answer[n] = '\0';
    return answer;
}

static char *ask(int fd, FILE *in, char *answer, int n, const char *const *words)
{
    char request[1024];
    int used = snprintf(request, sizeof(request), "*%d\r\n", n);
    for (int i = 0; i < n && used < (int)sizeof(request); i++)
        used += snprintf(request + used, sizeof(request) - (size_t)used, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    if (used >= (int)sizeof(request) || send(fd, request, (size_t)used, MSG_NOSIGNAL) != used) {
        fail("can't ask", used >= (int)sizeof(request) ? "the password is too long" : strerror(errno));
        return NULL;
    }
    return read_answer(in, answer);
}

static bool log_in(const struct options *o, int fd, FILE *in, char *answer)
{
    const char *words[3] = { "AUTH", o->user ? o->user : o->pass, o->pass };
    return !o->pass || ask(fd, in, answer, o->user ? 3 : 2, words);
}

/* ---- watching ---- */

static void show(const struct options *o, const struct lag_sample *s)
{
    bool terminal = isatty(STDOUT_FILENO);
    if (o->json) {
        lag_print_json(s, stdout);
    } else {
        if (terminal && !o->once)
            fputs("\033[H\033[2J", stdout);
        lag_print_text(s, o->address, terminal, stdout);
    }
    fflush(stdout);
}

static int watch(const struct options *o, int fd, FILE *in, char *answer)
{
    static const char *const info[] = { "INFO", "replication" };
    struct lag_sample samples[2];
    for (int look = 0; !ferror(stdout); look++) {
        if (!ask(fd, in, answer, 2, info))
            return 1;
        struct lag_sample *s = &samples[look % 2];
        if (!lag_parse(answer, now(), look ? &samples[(look + 1) % 2] : NULL, s))
            return fail(o->address, "INFO replication tells no role");
        if (!o->once || look == 1)
            show(o, s);
        if (o->once && look == 1)
            return 0;
        struct timespec rest = { o->interval_ms / 1000, o->interval_ms % 1000 * 1000000 };
        nanosleep(&rest, NULL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        }
    }
    if (!parse_options(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    int fd = dial(&o);
    if (fd < 0)
        return 1;
    FILE *in = fdopen(fd, "r");
    char *answer = malloc(ANSWER_MAX);
    int code = in && answer && log_in(&o, fd, in, answer) ? watch(&o, fd, in, answer) : 1;
    free(answer);
    if (in)
        fclose(in);
    return code;
}
