/* doorkeeper.c - two counters: of all connections, which is atomic, and of
 * those of an address, in a hash table under a lock. */
#include "api/doorkeeper.h"
#include "ws/conn.h"

#include <string.h>

#define BUCKETS      1024
#define BUCKETS_SIZE (BUCKETS * sizeof(ws__guest *))

struct ws__guest {
  ws__guest *next;
  uint64_t key;
  uint32_t count;
};

int ws__doorkeeper_init(ws__doorkeeper *keeper, uint32_t max,
                        uint32_t max_by_guest) {
  *keeper = (ws__doorkeeper){.max = max, .max_by_guest = max_by_guest};
  atomic_init(&keeper->count, 0);
  if (ws_random(NULL, &keeper->key, sizeof(keeper->key)) != 0) {
    return WS_ERR_RANDOM;
  }
  if (max_by_guest > 0) {
    keeper->buckets = ws__alloc_zero(&ws__malloc, BUCKETS_SIZE);
    if (keeper->buckets == NULL) return WS_ERR_NO_MEMORY;
  }
  if (pthread_mutex_init(&keeper->lock, NULL) == 0) return 0;
  ws__free(&ws__malloc, keeper->buckets, BUCKETS_SIZE);
  return WS_ERR_NO_MEMORY;
}

void ws__doorkeeper_free(ws__doorkeeper *keeper) {
  ws__free(&ws__malloc, keeper->buckets, BUCKETS_SIZE);
  pthread_mutex_destroy(&keeper->lock);
}

/* Takes a place of all. Returns false when none is left. */
static bool take_place(ws__doorkeeper *keeper) {
  const unsigned before = atomic_fetch_add(&keeper->count, 1);
  if (keeper->max == 0 || before < keeper->max) return true;
  atomic_fetch_sub(&keeper->count, 1);
  return false;
}

/* What an address is known by: one of IPv6 by its first half, one of IPv4 by
 * itself behind four zeros, with which no host's IPv6 address begins (0000::/8
 * is reserved, RFC 4291 2.4). False for a Unix socket, which has none. */
static bool key_of(const ws__addr *peer, uint64_t *out_key) {
  uint8_t bytes[sizeof(*out_key)] = {0};
  switch (peer->as.any.sa_family) {
  case AF_INET: memcpy(bytes + 4, &peer->as.in.sin_addr, 4); break;
  case AF_INET6: memcpy(bytes, &peer->as.in6.sin6_addr, sizeof(bytes)); break;
  default: return false;
  }
  memcpy(out_key, bytes, sizeof(bytes));
  return true;
}

static ws__guest **bucket_of(ws__doorkeeper *keeper, uint64_t key) {
  const uint64_t hash = ws__siphash(keeper->key, &key, sizeof(key));
  return &keeper->buckets[hash % BUCKETS];
}

/* Finds the guest or makes one, and counts. NULL if it may not come in. */
static ws__guest *welcome(ws__doorkeeper *keeper, uint64_t key) {
  ws__guest **bucket = bucket_of(keeper, key);
  ws__guest *guest = *bucket;
  while (guest != NULL && guest->key != key)
    guest = guest->next;
  if (guest == NULL) {
    guest = ws__alloc_zero(&ws__malloc, sizeof(*guest));
    if (guest == NULL) return NULL;
    guest->key = key;
    guest->next = *bucket;
    *bucket = guest;
  }
  if (guest->count >= keeper->max_by_guest) return NULL;
  guest->count++;
  return guest;
}

bool ws__doorkeeper_enter(ws__doorkeeper *keeper, const ws__addr *peer,
                          ws__guest **out_guest) {
  *out_guest = NULL;
  if (!take_place(keeper)) return false;
  uint64_t key;
  if (keeper->max_by_guest == 0 || !key_of(peer, &key)) return true;

  pthread_mutex_lock(&keeper->lock);
  *out_guest = welcome(keeper, key);
  pthread_mutex_unlock(&keeper->lock);
  if (*out_guest == NULL) atomic_fetch_sub(&keeper->count, 1);
  return *out_guest != NULL;
}

static void say_goodbye(ws__doorkeeper *keeper, ws__guest *guest) {
  if (--guest->count > 0) return;
  ws__guest **at = bucket_of(keeper, guest->key);
  while (*at != guest)
    at = &(*at)->next;
  *at = guest->next;
  ws__free(&ws__malloc, guest, sizeof(*guest));
}

void ws__doorkeeper_leave(ws__doorkeeper *keeper, ws__guest *guest) {
  atomic_fetch_sub(&keeper->count, 1);
  if (guest == NULL) return;
  pthread_mutex_lock(&keeper->lock);
  say_goodbye(keeper, guest);
  pthread_mutex_unlock(&keeper->lock);
}
