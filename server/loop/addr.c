/* Addresses as text and as the kernel wants them. */
#include "server/loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>

int addr_parse(const char *text, int port, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    if (port < 0 || port > 65535)
        return -EINVAL;
    memset(ret_addr, 0, sizeof *ret_addr);
    if (strcmp(text, "*") == 0 || inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(ret_addr, &v4, sizeof v4);
        *ret_len = sizeof v4;
        return 0;
    }
    if (strcmp(text, "::*") == 0 || inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(ret_addr, &v6, sizeof v6);
        *ret_len = sizeof v6;
        return 0;
    }
    return -EINVAL;
}

/* A name is looked up, which may take as long as the resolver does; numbers do not. */
int addr_resolve(const char *host, int port, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    int r = addr_parse(host, port, ret_addr, ret_len);
    if (r == 0 || port < 0 || port > 65535)
        return r;
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char service[16];
    (void)snprintf(service, sizeof service, "%d", port);
    r = getaddrinfo(host, service, &hints, &found);
    if (r != 0)
        return r == EAI_SYSTEM && errno ? -errno : -EHOSTUNREACH;
    if (found->ai_addrlen > sizeof *ret_addr) {
        freeaddrinfo(found);
        return -EAFNOSUPPORT;
    }
    memcpy(ret_addr, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void addr_format(const struct sockaddr_storage *a, char *ret_text, size_t n)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (a->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, a, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof ip);
        (void)snprintf(ret_text, n, "%s:%d", ip, ntohs(v4.sin_port));
    } else if (a->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, a, sizeof v6);
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof ip);
        (void)snprintf(ret_text, n, "[%s]:%d", ip, ntohs(v6.sin6_port));
    } else if (a->ss_family == AF_UNIX) {
        (void)snprintf(ret_text, n, "/unixsocket:0");
    } else {
        (void)snprintf(ret_text, n, "?:0");
    }
}

bool addr_is_loopback(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, a, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (a->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, a, sizeof v6);
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return a->ss_family == AF_UNIX;
}
