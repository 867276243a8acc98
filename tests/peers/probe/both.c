/* both.c - a name with addresses of both kinds, on every machine: loaded before
 * libc (LD_PRELOAD) it has both.test be ::1 and then 127.0.0.1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

typedef int lookup_fn(const char *host, const char *service,
                      const struct addrinfo *hints, struct addrinfo **out);

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **out) {
  lookup_fn *look_up;
  *(void **)&look_up = dlsym(RTLD_NEXT, "getaddrinfo");
  if (host == NULL || strcmp(host, "both.test") != 0) {
    return look_up(host, service, hints, out);
  }
  int err = look_up("::1", service, hints, out);
  if (err != 0) return err;
  struct addrinfo *last = *out;
  while (last->ai_next != NULL)
    last = last->ai_next;
  err = look_up("127.0.0.1", service, hints, &last->ai_next);
  if (err != 0) freeaddrinfo(*out);
  return err;
}
