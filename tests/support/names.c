/* names.c - the getaddrinfo() of all test programs that have none of their own:
 * localhost is both addresses of the loopback, an address is itself, and no
 * other name exists. So no test hangs on the resolver of the machine, which may
 * be slow, absent, or answer for every name. */
#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

int __real_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);

static int look_up(const char *host, const char *service,
                   const struct addrinfo *hints, struct addrinfo **out) {
  struct addrinfo numeric = {.ai_family = AF_UNSPEC};
  if (hints != NULL) numeric = *hints;
  numeric.ai_flags |= AI_NUMERICHOST;
  return __real_getaddrinfo(host, service, &numeric, out);
}

int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out) {
  if (host == NULL || strcmp(host, "localhost") != 0)
    return look_up(host, service, hints, out);
  struct addrinfo *ipv4;
  const int no_ipv4 = look_up("127.0.0.1", service, hints, &ipv4);
  if (look_up("::1", service, hints, out) != 0) { /* Of the wrong family. */
    *out = ipv4;
    return no_ipv4;
  }
  if (no_ipv4 != 0) return 0;
  struct addrinfo *last = *out;
  while (last->ai_next != NULL)
    last = last->ai_next;
  last->ai_next = ipv4;
  return 0;
}
