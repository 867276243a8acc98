/* resolver.h - host names to addresses, by getaddrinfo() in helper threads.
 *
 * A resolver belongs to one thread, its owner, and so do the lookups. Each
 * lookup that needs it gets a thread of its own, at most WS__RESOLVER_THREADS
 * at once; the others wait for their turn. A thread cannot be stopped while
 * getaddrinfo() runs, so nothing ever waits for one: freeing a lookup, or the
 * whole resolver, returns at once, and the thread cleans up when it ends.
 *
 * What a thread touches comes from malloc, since it may live longer than the
 * owner's allocator; everything else comes from the allocator.
 *
 *     when wake() has been called:
 *         while ((lookup = ws__resolver_next(resolver)) != NULL)
 *             ws__lookup_result(lookup, ...) */
#ifndef WS__RESOLVER_H
#define WS__RESOLVER_H

#include "base/alloc.h"
#include "base/detail.h"
#include "base/hidden.h"
#include "io/net.h"

WS__HIDDEN_BEGIN

/* Threads at once, those of freed lookups included. */
#define WS__RESOLVER_THREADS 8

/* How many addresses of a host are used; the others are passed over. */
#define WS__RESOLVER_MAX_ADDRS 64

typedef struct ws__resolver ws__resolver;
typedef struct ws__lookup ws__lookup;

/* Has the owner call ws__resolver_next(). Called by any thread, also by the
 * owner inside ws__lookup_start(), several times for one lookup or once for
 * several; never after ws__resolver_free() has returned. Must not wait and must
 * not call the resolver. */
typedef void (*ws__wake_fn)(void *ctx);

/* Returns 0 or WS_ERR_NO_MEMORY. `allocator` must live until
 * ws__resolver_free(). */
int ws__resolver_new(const ws_allocator *allocator, ws__wake_fn wake, void *ctx,
                     ws__resolver **out_resolver);

/* All lookups must have been freed; threads may still run. NULL is fine. */
void ws__resolver_free(ws__resolver *resolver);

/* Begins to look up `host` (copied). `family` is AF_INET or AF_INET6 to have
 * only such addresses, AF_UNSPEC for both. An IP literal is its own answer and
 * costs no thread. `user` is for the caller. Returns 0 or WS_ERR_NO_MEMORY;
 * whatever else fails is the result of the lookup. */
int ws__lookup_start(ws__resolver *resolver, const char *host, uint16_t port,
                     int family, void *user, ws__lookup **out_lookup);

/* Returns a lookup that has ended, each once, or NULL. */
ws__lookup *ws__resolver_next(ws__resolver *resolver);

void *ws__lookup_user(const ws__lookup *lookup);

/* The result of a lookup that has ended: 0 and at least one address, in the
 * order of the system's preference (RFC 6724), with the port, living as long as
 * the lookup; WS_ERR_RESOLVE or WS_ERR_NO_MEMORY and a detail, which names the
 * host and may be NULL. */
int ws__lookup_result(const ws__lookup *lookup, const ws__addr **out_addrs,
                      size_t *out_count, char *detail);

/* The errno that a lookup has ended with; 0 if the system had none. */
int ws__lookup_system_error(const ws__lookup *lookup);

/* Frees a lookup in any state; one that has not ended is cancelled. NULL is
 * fine. */
void ws__lookup_free(ws__lookup *lookup);

WS__HIDDEN_END

#endif
