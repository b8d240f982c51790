/* Names to addresses, in a thread of its own for each: resolvers block. What is dropped before it is known frees itself
 * when the resolver comes back; it holds its own copy of the descriptor that wakes the loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/alloc.h"
#include "server/loop/loop.h"

struct io_lookup {
    atomic_int refs;
    atomic_int state; /* -EINPROGRESS, then 0 or what failed */
    int wake_fd;
    char *host;
    char address[IO_ADDRESS_MAX];
};

static void unref(struct io_lookup *l)
{
    if (atomic_fetch_sub(&l->refs, 1) > 1)
        return;
    if (l->wake_fd >= 0)
        (void)close(l->wake_fd);
    mem_free(l->host);
    mem_free(l);
}

static int look_up(const char *host, char address[IO_ADDRESS_MAX])
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return -EHOSTUNREACH;
    int r = getnameinfo(found->ai_addr, found->ai_addrlen, address, IO_ADDRESS_MAX, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return r == 0 ? 0 : -EHOSTUNREACH;
}

static void *run(void *arg)
{
    struct io_lookup *l = arg;
    const uint64_t one = 1;
    atomic_store(&l->state, look_up(l->host, l->address));
    (void)!write(l->wake_fd, &one, sizeof(one));
    unref(l);
    return NULL;
}

/* Signals are the loop's thread's. */
static int start(struct io_lookup *l)
{
    pthread_t thread;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, NULL, run, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        (void)pthread_detach(thread);
    return r;
}

struct io_lookup *io_lookup_begin(struct io *io, const char *host)
{
    struct io_lookup *l = mem_zalloc(sizeof(*l));
    struct sockaddr_storage addr;
    socklen_t n;
    l->wake_fd = -1;
    l->host = mem_strdup(host);
    atomic_store(&l->refs, 1);
    if (strlen(host) < sizeof(l->address) && addr_parse(host, 0, &addr, &n) == 0) {
        (void)snprintf(l->address, sizeof(l->address), "%s", host);
        return l;
    }
    atomic_store(&l->state, -EINPROGRESS);
    l->wake_fd = fcntl(io->wake_fd, F_DUPFD_CLOEXEC, 0);
    atomic_store(&l->refs, 2);
    if (l->wake_fd < 0 || start(l) != 0) {
        atomic_store(&l->refs, 1);
        atomic_store(&l->state, -EHOSTUNREACH);
    }
    return l;
}

int io_lookup_result(struct io_lookup *l, char ret_address[IO_ADDRESS_MAX])
{
    int state = atomic_load(&l->state);
    if (state == 0)
        memcpy(ret_address, l->address, IO_ADDRESS_MAX);
    return state;
}

void io_lookup_drop(struct io_lookup *l)
{
    if (l)
        unref(l);
}
