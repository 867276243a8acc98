/* topic.h - who is subscribed to what, in one loop.
 *
 * Invariants: a topic exists exactly while it has subscribers; a subscription
 * is in the list of its topic and in that of its socket. */
#ifndef WS__TOPIC_H
#define WS__TOPIC_H

#include "base/alloc.h"
#include "base/hidden.h"
#include "base/list.h"
#include "base/siphash.h"

WS__HIDDEN_BEGIN

#define WS__TOPIC_NAME_MAX 255

typedef struct ws__topic ws__topic;
typedef struct ws__subscription ws__subscription;

typedef struct ws__topics {
  const ws_allocator *allocator;
  ws__siphash_key key;
  ws__topic **buckets;
  size_t bucket_count;
  size_t count;
} ws__topics;

/* Lives in two lists; `owner` is the caller's. */
struct ws__subscription {
  ws__list link;
  ws__subscription *next; /* Of the same owner. */
  ws__topic *topic;
  void *owner;
};

/* Whether a name may be a topic's. */
bool ws__topic_is_name(const char *name);

/* `allocator` is borrowed. `key` is random, so that nobody who chooses names
 * can choose buckets. */
void ws__topics_init(ws__topics *topics, const ws_allocator *allocator,
                     ws__siphash_key key);

/* There must be no topic left. */
void ws__topics_free(ws__topics *topics);

/* Adds to the owner's list; a second time changes nothing. Returns 0 or
 * WS_ERR_NO_MEMORY. */
int ws__topics_subscribe(ws__topics *topics, const char *name, void *owner,
                         ws__subscription **list);

/* Takes out of the owner's list; does nothing if it is not there. */
void ws__topics_unsubscribe(ws__topics *topics, const char *name,
                            ws__subscription **list);

/* Takes out all. */
void ws__topics_leave(ws__topics *topics, ws__subscription **list);

/* The subscriptions to a topic, linked by `link`; NULL if there are none. */
ws__list *ws__topics_find(ws__topics *topics, const char *name);

WS__HIDDEN_END

#endif
