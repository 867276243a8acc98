/* topic.c - see topic.h: topics in a table of chains. Their names may come from
 * peers, so the hash that finds them is one that nobody can steer. */
#include "api/topic.h"

#include <string.h>

#define BUCKETS_MIN 16

struct ws__topic {
  ws__topic *next; /* In its bucket. */
  ws__list subscriptions;
  uint64_t hash;
  char name[];
};

bool ws__topic_is_name(const char *name) {
  const size_t len = strnlen(name, WS__TOPIC_NAME_MAX + 1);
  return len > 0 && len <= WS__TOPIC_NAME_MAX;
}

void ws__topics_init(ws__topics *topics, const ws_allocator *allocator,
                     ws__siphash_key key) {
  *topics = (ws__topics){.allocator = allocator, .key = key};
}

void ws__topics_free(ws__topics *topics) {
  ws__free(topics->allocator, topics->buckets,
           topics->bucket_count * sizeof(ws__topic *));
}

static uint64_t hash_of(const ws__topics *topics, const char *name) {
  return ws__siphash(topics->key, name, strlen(name));
}

static ws__topic **bucket_of(ws__topics *topics, uint64_t hash) {
  return &topics->buckets[hash % topics->bucket_count];
}

/* Where a topic hangs, or where a new one is to be hung. */
static ws__topic **find(ws__topics *topics, const char *name, uint64_t hash) {
  ws__topic **at = bucket_of(topics, hash);
  while (*at != NULL &&
         ((*at)->hash != hash || strcmp((*at)->name, name) != 0)) {
    at = &(*at)->next;
  }
  return at;
}

static int grow(ws__topics *topics) {
  if (topics->count < topics->bucket_count) return 0;
  const size_t before = topics->bucket_count;
  const size_t after = before == 0 ? BUCKETS_MIN : before * 2;
  ws__topic **old = topics->buckets;
  ws__topic **buckets =
      ws__alloc_zero(topics->allocator, after * sizeof(*buckets));
  if (buckets == NULL) return WS_ERR_NO_MEMORY;

  topics->buckets = buckets;
  topics->bucket_count = after;
  for (size_t i = 0; i < before; i++) {
    while (old[i] != NULL) {
      ws__topic *topic = old[i];
      old[i] = topic->next;
      ws__topic **bucket = bucket_of(topics, topic->hash);
      topic->next = *bucket;
      *bucket = topic;
    }
  }
  ws__free(topics->allocator, old, before * sizeof(*old));
  return 0;
}

static size_t size_of(const char *name) {
  return sizeof(ws__topic) + strlen(name) + 1;
}

static ws__topic *add_topic(ws__topics *topics, const char *name,
                            uint64_t hash) {
  ws__topic *topic = ws__alloc(topics->allocator, size_of(name));
  if (topic == NULL) return NULL;
  ws__topic **bucket = bucket_of(topics, hash);
  *topic = (ws__topic){.next = *bucket, .hash = hash};
  memcpy(topic->name, name, strlen(name) + 1);
  ws__list_init(&topic->subscriptions);
  *bucket = topic;
  topics->count++;
  return topic;
}

static void remove_if_empty(ws__topics *topics, ws__topic *topic) {
  if (!ws__list_is_empty(&topic->subscriptions)) return;
  ws__topic **at = bucket_of(topics, topic->hash);
  while (*at != topic)
    at = &(*at)->next;
  *at = topic->next;
  topics->count--;
  ws__free(topics->allocator, topic, size_of(topic->name));
}

/* Where a subscription hangs in its owner's list, or its end. */
static ws__subscription **find_subscription(ws__subscription **list,
                                            const char *name) {
  while (*list != NULL && strcmp((*list)->topic->name, name) != 0)
    list = &(*list)->next;
  return list;
}

int ws__topics_subscribe(ws__topics *topics, const char *name, void *owner,
                         ws__subscription **list) {
  ws__subscription **at = find_subscription(list, name);
  if (*at != NULL) return 0;
  if (grow(topics) != 0) return WS_ERR_NO_MEMORY;
  const uint64_t hash = hash_of(topics, name);
  ws__topic *topic = *find(topics, name, hash);
  if (topic == NULL) topic = add_topic(topics, name, hash);
  if (topic == NULL) return WS_ERR_NO_MEMORY;

  ws__subscription *s = ws__alloc(topics->allocator, sizeof(*s));
  if (s == NULL) {
    remove_if_empty(topics, topic);
    return WS_ERR_NO_MEMORY;
  }
  *s = (ws__subscription){.topic = topic, .owner = owner};
  ws__list_init(&s->link);
  ws__list_push_back(&topic->subscriptions, &s->link);
  *at = s;
  return 0;
}

/* Ends the subscription that hangs at `at`. */
static void end(ws__topics *topics, ws__subscription **at) {
  ws__subscription *s = *at;
  *at = s->next;
  ws__list_remove(&s->link);
  remove_if_empty(topics, s->topic);
  ws__free(topics->allocator, s, sizeof(*s));
}

void ws__topics_unsubscribe(ws__topics *topics, const char *name,
                            ws__subscription **list) {
  ws__subscription **at = find_subscription(list, name);
  if (*at != NULL) end(topics, at);
}

void ws__topics_leave(ws__topics *topics, ws__subscription **list) {
  while (*list != NULL)
    end(topics, list);
}

ws__list *ws__topics_find(ws__topics *topics, const char *name) {
  if (topics->bucket_count == 0) return NULL;
  ws__topic *topic = *find(topics, name, hash_of(topics, name));
  return topic != NULL ? &topic->subscriptions : NULL;
}
