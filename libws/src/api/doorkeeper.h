/* doorkeeper.h - counts connections, in all and by address, and turns away
 * those beyond a bound. Shared by the workers of a server; any thread. */
#ifndef WS__DOORKEEPER_H
#define WS__DOORKEEPER_H

#include "base/alloc.h"
#include "base/hidden.h"
#include "base/siphash.h"
#include "io/net.h"

#include <pthread.h>
#include <stdatomic.h>

WS__HIDDEN_BEGIN

/* An address with connections; /64 for IPv6, since a host has as many addresses
 * there as it likes (RFC 4291 2.5.4). */
typedef struct ws__guest ws__guest;

/* Invariant: a guest is in the table exactly while its count is not 0. */
typedef struct ws__doorkeeper {
  uint32_t max;          /* 0: no bound. */
  uint32_t max_by_guest; /* 0: no bound, and addresses are not looked at. */
  atomic_uint count;

  pthread_mutex_t lock; /* Of what follows. */
  ws__siphash_key key;  /* So that no one can choose a bucket. */
  ws__guest **buckets;  /* NULL without `max_by_guest`. */
} ws__doorkeeper;

/* Returns 0, WS_ERR_NO_MEMORY or WS_ERR_RANDOM, and then there is nothing to
 * free. Memory comes from malloc. */
int ws__doorkeeper_init(ws__doorkeeper *keeper, uint32_t max,
                        uint32_t max_by_guest);

/* All must have left. */
void ws__doorkeeper_free(ws__doorkeeper *keeper);

/* Lets a connection in. `*out_guest` is NULL when its address is not counted.
 * Returns false if it would be one too many, or there is no memory. */
bool ws__doorkeeper_enter(ws__doorkeeper *keeper, const ws__addr *peer,
                          ws__guest **out_guest);

/* A connection that was let in has ended. */
void ws__doorkeeper_leave(ws__doorkeeper *keeper, ws__guest *guest);

WS__HIDDEN_END

#endif
