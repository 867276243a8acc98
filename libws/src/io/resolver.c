/* resolver.c - see resolver.h.
 *
 * Three things: a `task` is what one thread does; the `hub` is where threads
 * leave their finished tasks; a lookup is the owner's view. Invariant: a task
 * belongs to its thread until it is in hub->done, then to the owner, or to
 * whoever frees the hub. Only the hub is shared; only the owner follows
 * task->lookup. */
#include "io/resolver.h"

#include "base/list.h"
#include "io/thread.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

/* getaddrinfo() keeps DNS answers and the buffers of its plug-ins on the stack.
 * Of this, only what is used costs memory. */
#define THREAD_STACK ((size_t)512 * 1024)

/* From malloc. Lives as long as the resolver or a thread. */
typedef struct hub {
  pthread_mutex_t lock; /* Over all that follows. */
  size_t holders;       /* The resolver and each thread that runs. */
  ws__wake_fn wake;     /* NULL once the resolver is gone. */
  void *wake_ctx;
  ws__list done; /* Tasks whose threads are through with them. */
} hub;

/* From malloc. */
typedef struct task {
  ws__list link; /* In hub->done, or alone. */
  hub *hub;
  ws__lookup *lookup; /* NULL once it has been freed. */
  int family;
  uint16_t port;
  /* The answer. */
  int failure;      /* Of getaddrinfo(): EAI_..., or 0. */
  int system_error; /* errno for EAI_SYSTEM. */
  size_t count;
  ws__addr addrs[WS__RESOLVER_MAX_ADDRS];
  size_t host_size;
  char host[];
} task;

struct ws__resolver {
  const ws_allocator *allocator;
  hub *hub;
  size_t threads; /* Whose tasks have not come back. */
  size_t lookups; /* Not freed. */
  ws__list waiting;
  ws__list ended; /* Not yet handed out by ws__resolver_next(). */
};

struct ws__lookup {
  ws__list link; /* In waiting or ended, or alone. */
  ws__resolver *resolver;
  task *task; /* While a thread works on it. */
  void *user;
  int family;
  uint16_t port;
  /* The result. */
  int err;
  int system_error; /* errno, or 0. */
  char detail[WS__DETAIL_SIZE];
  ws__addr *addrs;
  size_t count;
  size_t host_size; /* The NUL included. */
  char host[];
};

/* -- The hub --------------------------------------------------------------- */

static void task_free(task *t) {
  ws__free(&ws__malloc, t, sizeof(*t) + t->host_size);
}

static hub *hub_new(ws__wake_fn wake, void *ctx) {
  hub *h = ws__alloc(&ws__malloc, sizeof(*h));
  if (h == NULL) return NULL;
  if (pthread_mutex_init(&h->lock, NULL) != 0) {
    ws__free(&ws__malloc, h, sizeof(*h));
    return NULL;
  }
  h->holders = 1;
  h->wake = wake;
  h->wake_ctx = ctx;
  ws__list_init(&h->done);
  return h;
}

/* Takes the first of the tasks that are done, or NULL. The caller holds the
 * lock, or the hub alone. */
static task *take_done(hub *h) {
  ws__list *first = ws__list_first(&h->done);
  if (first == NULL) return NULL;
  ws__list_remove(first);
  return WS__CONTAINER_OF(first, task, link);
}

static void hub_hold(hub *h) {
  pthread_mutex_lock(&h->lock);
  h->holders++;
  pthread_mutex_unlock(&h->lock);
}

/* Lets go of the hub, which the caller has locked. The last one frees it and
 * the tasks that nobody has come for. */
static void hub_unlock_and_drop(hub *h) {
  const bool is_last = --h->holders == 0;
  pthread_mutex_unlock(&h->lock);
  if (!is_last) return;
  for (task *t = take_done(h); t != NULL; t = take_done(h))
    task_free(t);
  pthread_mutex_destroy(&h->lock);
  ws__free(&ws__malloc, h, sizeof(*h));
}

/* -- The thread ------------------------------------------------------------ */

static void keep_addr(task *t, const struct addrinfo *info) {
  ws__addr *addr = &t->addrs[t->count];
  if (info->ai_family != AF_INET && info->ai_family != AF_INET6) return;
  if (info->ai_addrlen > sizeof(addr->as)) return;
  *addr = (ws__addr){.len = info->ai_addrlen};
  memcpy(&addr->as, info->ai_addr, info->ai_addrlen);
  ws__addr_set_port(addr, t->port);
  t->count++;
}

static void ask_system(task *t) {
  const struct addrinfo hints = {.ai_family = t->family,
                                 .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  t->failure = getaddrinfo(t->host, NULL, &hints, &found);
  t->system_error = errno;
  if (t->failure != 0) return;
  for (const struct addrinfo *info = found;
       info != NULL && t->count < WS__RESOLVER_MAX_ADDRS; info = info->ai_next)
    keep_addr(t, info);
  if (found != NULL) freeaddrinfo(found);
}

static void *run(void *arg) {
  task *t = arg;
  hub *h = t->hub;
  ask_system(t);
  pthread_mutex_lock(&h->lock);
  ws__list_push_back(&h->done, &t->link);
  /* Under the lock, so that what wakes cannot go away in between. */
  if (h->wake != NULL) h->wake(h->wake_ctx);
  hub_unlock_and_drop(h);
  return NULL;
}

/* Starts a thread that nobody waits for. Returns 0 or an errno value. */
static int start_thread(task *t) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  pthread_t thread;
  error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (error == 0) error = pthread_attr_setstacksize(&attributes, THREAD_STACK);
  if (error == 0) error = ws__thread_start(&thread, &attributes, run, t);
  pthread_attr_destroy(&attributes);
  return error;
}

/* -- The owner's side ------------------------------------------------------ */

int ws__resolver_new(const ws_allocator *allocator, ws__wake_fn wake, void *ctx,
                     ws__resolver **out_resolver) {
  ws__resolver *r = ws__alloc_zero(allocator, sizeof(*r));
  if (r == NULL) return WS_ERR_NO_MEMORY;
  r->allocator = allocator;
  r->hub = hub_new(wake, ctx);
  if (r->hub == NULL) {
    ws__free(allocator, r, sizeof(*r));
    return WS_ERR_NO_MEMORY;
  }
  ws__list_init(&r->waiting);
  ws__list_init(&r->ended);
  *out_resolver = r;
  return 0;
}

void ws__resolver_free(ws__resolver *resolver) {
  if (resolver == NULL) return;
  assert(resolver->lookups == 0);
  pthread_mutex_lock(&resolver->hub->lock);
  resolver->hub->wake = NULL;
  hub_unlock_and_drop(resolver->hub);
  ws__free(resolver->allocator, resolver, sizeof(*resolver));
}

static void end(ws__lookup *l) {
  ws__list_push_back(&l->resolver->ended, &l->link);
}

static void end_failed(ws__lookup *l, int err, const char *cause) {
  l->err = err;
  ws__detail_set(l->detail, "%s: %s", l->host, cause);
  end(l);
}

static void end_by_system(ws__lookup *l, int error) {
  char cause[WS__DETAIL_SIZE];
  l->system_error = error;
  end_failed(l, WS_ERR_RESOLVE, ws__errno_text(error, cause));
}

static void end_with(ws__lookup *l, const ws__addr *addrs, size_t count) {
  l->addrs = ws__alloc(l->resolver->allocator, count * sizeof(*addrs));
  if (l->addrs == NULL) {
    end_failed(l, WS_ERR_NO_MEMORY, ws_strerror(WS_ERR_NO_MEMORY));
    return;
  }
  memcpy(l->addrs, addrs, count * sizeof(*addrs));
  l->count = count;
  end(l);
}

/* Ends a lookup with what its thread has found. */
static void end_by_task(ws__lookup *l, const task *t) {
  if (t->failure == EAI_SYSTEM) {
    end_by_system(l, t->system_error);
  } else if (t->failure != 0) {
    end_failed(l, WS_ERR_RESOLVE, gai_strerror(t->failure));
  } else if (t->count == 0) {
    end_failed(l, WS_ERR_RESOLVE, "the name has no address");
  } else {
    end_with(l, t->addrs, t->count);
  }
}

static task *task_new(const ws__lookup *l) {
  task *t = ws__alloc_zero(&ws__malloc, sizeof(*t) + l->host_size);
  if (t == NULL) return NULL;
  ws__list_init(&t->link);
  t->hub = l->resolver->hub;
  t->family = l->family;
  t->port = l->port;
  t->host_size = l->host_size;
  memcpy(t->host, l->host, l->host_size);
  return t;
}

/* Gives a lookup its thread, or ends it. */
static void begin(ws__lookup *l) {
  task *t = task_new(l);
  if (t == NULL) {
    end_failed(l, WS_ERR_NO_MEMORY, ws_strerror(WS_ERR_NO_MEMORY));
    return;
  }
  t->lookup = l;
  hub_hold(t->hub);
  const int error = start_thread(t);
  if (error != 0) {
    pthread_mutex_lock(&t->hub->lock);
    hub_unlock_and_drop(t->hub);
    task_free(t);
    end_by_system(l, error);
    return;
  }
  l->task = t;
  l->resolver->threads++;
}

static void begin_waiting(ws__resolver *r) {
  while (r->threads < WS__RESOLVER_THREADS && !ws__list_is_empty(&r->waiting)) {
    ws__list *first = ws__list_first(&r->waiting);
    ws__list_remove(first);
    begin(WS__CONTAINER_OF(first, ws__lookup, link));
  }
}

static task *collect_one(hub *h) {
  pthread_mutex_lock(&h->lock);
  task *t = take_done(h);
  pthread_mutex_unlock(&h->lock);
  return t;
}

static void collect(ws__resolver *r) {
  for (task *t = collect_one(r->hub); t != NULL; t = collect_one(r->hub)) {
    r->threads--;
    if (t->lookup != NULL) {
      t->lookup->task = NULL;
      end_by_task(t->lookup, t);
    }
    task_free(t);
  }
}

ws__lookup *ws__resolver_next(ws__resolver *resolver) {
  collect(resolver);
  begin_waiting(resolver);
  ws__list *first = ws__list_first(&resolver->ended);
  if (first == NULL) return NULL;
  ws__list_remove(first);
  return WS__CONTAINER_OF(first, ws__lookup, link);
}

/* -- Lookups --------------------------------------------------------------- */

/* Whether the host is an IP literal, which ends the lookup. */
static bool end_by_literal(ws__lookup *l) {
  ws__addr addr;
  if (!ws__addr_from_ip(&addr, l->host, l->port)) return false;
  if (l->family == AF_UNSPEC || l->family == addr.as.any.sa_family) {
    end_with(l, &addr, 1);
  } else {
    end_failed(l, WS_ERR_RESOLVE, "an address of the other IP version");
  }
  return true;
}

int ws__lookup_start(ws__resolver *resolver, const char *host, uint16_t port,
                     int family, void *user, ws__lookup **out_lookup) {
  const size_t host_size = strlen(host) + 1;
  ws__lookup *l = ws__alloc_zero(resolver->allocator, sizeof(*l) + host_size);
  if (l == NULL) return WS_ERR_NO_MEMORY;
  ws__list_init(&l->link);
  l->resolver = resolver;
  l->user = user;
  l->family = family;
  l->port = port;
  l->host_size = host_size;
  memcpy(l->host, host, host_size);
  resolver->lookups++;

  if (!end_by_literal(l)) {
    ws__list_push_back(&resolver->waiting, &l->link);
    begin_waiting(resolver);
  }
  /* What ended without a thread has nobody else to say so. */
  if (!ws__list_is_empty(&resolver->ended))
    resolver->hub->wake(resolver->hub->wake_ctx);
  *out_lookup = l;
  return 0;
}

void *ws__lookup_user(const ws__lookup *lookup) {
  return lookup->user;
}

int ws__lookup_result(const ws__lookup *lookup, const ws__addr **out_addrs,
                      size_t *out_count, char *detail) {
  if (lookup->err != 0) {
    ws__detail_set(detail, "%s", lookup->detail);
    return lookup->err;
  }
  assert(lookup->count > 0);
  *out_addrs = lookup->addrs;
  *out_count = lookup->count;
  return 0;
}

int ws__lookup_system_error(const ws__lookup *lookup) {
  return lookup->system_error;
}

void ws__lookup_free(ws__lookup *lookup) {
  if (lookup == NULL) return;
  const ws_allocator *allocator = lookup->resolver->allocator;
  ws__list_remove(&lookup->link);
  if (lookup->task != NULL) lookup->task->lookup = NULL;
  lookup->resolver->lookups--;
  ws__free(allocator, lookup->addrs, lookup->count * sizeof(*lookup->addrs));
  ws__free(allocator, lookup, sizeof(*lookup) + lookup->host_size);
}
