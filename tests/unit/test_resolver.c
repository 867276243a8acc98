/* test_resolver.c - lookups against a getaddrinfo() that the test holds in its
 * hand: it stands before the system's by the linker's --wrap and is slow, fails
 * or finds what the host's name tells it. What the resolver asks of malloc and
 * of threads goes through this program as well. */
#include "io/resolver.h"
#include "test.h"
#include "test_alloc.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Nothing here takes long; this only ends a test that would hang. */
#define PATIENCE_S 20

/* -- The world around the resolver ----------------------------------------- */

enum {
  MAX_BLOCKS = 1024
};

/* Everything that threads and test share, under one lock. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  /* getaddrinfo() */
  bool gate_is_open; /* Otherwise hosts called "slow..." wait. */
  unsigned calls;
  unsigned running;
  unsigned most_running;
  int lists; /* Not given back to freeaddrinfo(). */
  struct addrinfo hints;
  bool has_service;
  bool is_open_to_signals;
  /* The wake function. */
  unsigned wakes;
  /* ws__malloc */
  void *blocks[MAX_BLOCKS];
  size_t block_count;
  unsigned allocations;
  unsigned fail_at; /* UINT_MAX for none. */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

static void lock_world(void) {
  pthread_mutex_lock(&world.lock);
}

static void unlock_world(void) {
  pthread_cond_broadcast(&world.changed);
  pthread_mutex_unlock(&world.lock);
}

/* Waits for a change; false when the test has hung. The world is locked. */
static bool await_change(void) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += PATIENCE_S;
  return pthread_cond_timedwait(&world.changed, &world.lock, &end) == 0;
}

#define AWAIT(condition)                                 \
  do {                                                   \
    bool is_in_time = true;                              \
    lock_world();                                        \
    while (!(condition) && is_in_time)                   \
      is_in_time = await_change();                       \
    const bool is_met = (condition);                     \
    unlock_world();                                      \
    if (!is_met) fail_msg("waited for: %s", #condition); \
  } while (0)

static void open_gate(void) {
  lock_world();
  world.gate_is_open = true;
  unlock_world();
}

static unsigned read_world(const unsigned *value) {
  lock_world();
  const unsigned copy = *value;
  unlock_world();
  return copy;
}

/* -- malloc ---------------------------------------------------------------- */

/* In this program only ws__malloc calls realloc. */
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size) {
  lock_world();
  const bool fails =
      world.allocations++ == world.fail_at || world.block_count == MAX_BLOCKS;
  void *block = fails ? NULL : __real_realloc(ptr, size);
  if (block != NULL) world.blocks[world.block_count++] = block;
  unlock_world();
  return block;
}

void __real_free(void *ptr);
void __wrap_free(void *ptr);
void __wrap_free(void *ptr) {
  lock_world();
  for (size_t i = 0; i < world.block_count; i++) {
    if (world.blocks[i] != ptr) continue;
    world.blocks[i] = world.blocks[--world.block_count];
    break;
  }
  __real_free(ptr);
  unlock_world();
}

/* -- getaddrinfo ----------------------------------------------------------- */

#define OUR_LIST 0x5a5a /* In ai_flags. */

static void add_addr(struct addrinfo **list, const ws__addr *addr,
                     socklen_t len) {
  struct addrinfo *info = calloc(1, sizeof(*info));
  ws__addr *copy = malloc(sizeof(*copy));
  *copy = *addr;
  info->ai_flags = OUR_LIST;
  info->ai_family = addr->as.any.sa_family;
  info->ai_addr = &copy->as.any;
  info->ai_addrlen = len;
  while (*list != NULL)
    list = &(*list)->ai_next;
  *list = info;
}

static void add_ip(struct addrinfo **list, const char *host) {
  ws__addr addr;
  if (ws__addr_from_ip(&addr, host, 0)) add_addr(list, &addr, addr.len);
}

static int find_two(struct addrinfo **list) {
  add_ip(list, "2001:db8::1");
  add_ip(list, "192.0.2.1");
  return 0;
}

static int find_many(struct addrinfo **list) {
  for (int i = 499; i >= 0; i--) {
    ws__addr addr;
    char host[32];
    snprintf(host, sizeof(host), "10.0.%d.%d", i / 256, i % 256);
    ws__addr_from_ip(&addr, host, 0);
    struct addrinfo *rest = *list;
    *list = NULL;
    add_addr(list, &addr, addr.len);
    (*list)->ai_next = rest;
  }
  return 0;
}

/* Families that nobody has asked for, and an address longer than any. */
static int find_odd(struct addrinfo **list) {
  ws__addr addr;
  ws__addr_from_path(&addr, "/path");
  add_addr(list, &addr, addr.len);
  ws__addr_from_ip(&addr, "192.0.2.1", 0);
  add_addr(list, &addr, sizeof(addr.as) + 1);
  add_ip(list, "192.0.2.2");
  return 0;
}

static int find(const char *host, struct addrinfo **list) {
  if (strcmp(host, "many") == 0) return find_many(list);
  if (strcmp(host, "odd") == 0) return find_odd(list);
  if (strcmp(host, "nothing") == 0) return 0;
  if (strcmp(host, "unknown") == 0) return EAI_NONAME;
  if (strcmp(host, "broken") == 0) {
    errno = ENFILE;
    return EAI_SYSTEM;
  }
  return find_two(list);
}

static bool can_get_signals(void) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  return !sigismember(&mask, SIGINT) || !sigismember(&mask, SIGCHLD) ||
         !sigismember(&mask, SIGUSR1);
}

int __real_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out) {
  lock_world();
  world.calls++;
  world.running++;
  if (world.running > world.most_running) world.most_running = world.running;
  world.hints = *hints;
  world.has_service = service != NULL;
  world.is_open_to_signals |= can_get_signals();
  while (strncmp(host, "slow", 4) == 0 && !world.gate_is_open) {
    pthread_cond_broadcast(&world.changed);
    if (!await_change()) abort();
  }
  world.lists++;
  unlock_world();

  *out = NULL;
  const int answer = strcmp(host, "localhost") == 0
                         ? __real_getaddrinfo(host, service, hints, out)
                         : find(host, out);
  const int error = errno;
  lock_world();
  world.running--;
  if (*out == NULL) world.lists--;
  unlock_world();
  errno = error;
  return answer;
}

void __real_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list) {
  lock_world();
  world.lists--;
  unlock_world();
  if (list->ai_flags != OUR_LIST) {
    __real_freeaddrinfo(list);
    return;
  }
  while (list != NULL) {
    struct addrinfo *next = list->ai_next;
    free(list->ai_addr);
    free(list);
    list = next;
  }
}

/* -- Threads --------------------------------------------------------------- */

/* The call that fails, by its name, with EAGAIN: in the test's own thread only,
 * since a sanitizer makes some of these calls in all threads. */
static _Thread_local const char *failing_call;

static bool call_fails(const char *name) {
  return failing_call != NULL && strcmp(failing_call, name) == 0;
}

#define WRAP(name, parameters, arguments)                        \
  int __real_##name parameters;                                  \
  int __wrap_##name parameters;                                  \
  int __wrap_##name parameters {                                 \
    return call_fails(#name) ? EAGAIN : __real_##name arguments; \
  }

WRAP(pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes,
      void *(*function)(void *), void *argument),
     (thread, attributes, function, argument))
WRAP(pthread_attr_init, (pthread_attr_t * attributes), (attributes))
WRAP(pthread_attr_setdetachstate, (pthread_attr_t * attributes, int state),
     (attributes, state))
WRAP(pthread_attr_setstacksize, (pthread_attr_t * attributes, size_t size),
     (attributes, size))
WRAP(pthread_sigmask, (int how, const sigset_t *set, sigset_t *out_old),
     (how, set, out_old))
WRAP(pthread_mutex_init,
     (pthread_mutex_t * lock, const pthread_mutexattr_t *attributes),
     (lock, attributes))

/* -- Helpers --------------------------------------------------------------- */

/* `ctx` is from malloc and freed with the resolver, so that a late call is a
 * use after free. */
static void wake(void *ctx) {
  lock_world();
  *(unsigned *)ctx += 1;
  world.wakes++;
  unlock_world();
}

typedef struct fixture {
  test_alloc alloc;
  unsigned *ctx;
  ws__resolver *resolver;
} fixture;

static int begin_resolver(fixture *f) {
  test_alloc_init(&f->alloc);
  f->ctx = calloc(1, sizeof(*f->ctx));
  return ws__resolver_new(&f->alloc.allocator, wake, f->ctx, &f->resolver);
}

/* Ends the resolver, whose threads may still run. */
static void end_resolver(fixture *f) {
  ws__resolver_free(f->resolver);
  free(f->ctx);
  assert_int_equal(f->alloc.held, 0);
}

static fixture *make(void) {
  fixture *f = malloc(sizeof(*f));
  assert_int_equal(begin_resolver(f), 0);
  return f;
}

static void drop(fixture *f) {
  end_resolver(f);
  free(f);
}

static ws__lookup *start(fixture *f, const char *host) {
  /* An exact copy, so that a sanitizer sees an overrun, and gone after. */
  char *copy = strdup(host);
  ws__lookup *lookup = NULL;
  assert_int_equal(
      ws__lookup_start(f->resolver, copy, 443, AF_UNSPEC, f, &lookup), 0);
  free(copy);
  return lookup;
}

static ws__lookup *await_next(fixture *f) {
  for (;;) {
    const unsigned wakes = read_world(&world.wakes);
    ws__lookup *lookup = ws__resolver_next(f->resolver);
    if (lookup != NULL) return lookup;
    AWAIT(world.wakes != wakes);
  }
}

static void assert_addr(const ws__addr *addr, const char *expected) {
  char text[WS__ADDR_TEXT_SIZE];
  assert_string_equal(ws__addr_format(addr, text), expected);
}

static void assert_finds_two(const ws__lookup *lookup) {
  const ws__addr *addrs;
  size_t count;
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(ws__lookup_result(lookup, &addrs, &count, detail), 0);
  assert_int_equal(count, 2);
  assert_addr(&addrs[0], "[2001:db8::1]:443");
  assert_addr(&addrs[1], "192.0.2.1:443");
}

static void assert_fails(const ws__lookup *lookup, int err,
                         const char *expected) {
  const ws__addr *addrs = NULL;
  size_t count = 77;
  char detail[WS__DETAIL_SIZE];
  assert_int_equal(ws__lookup_result(lookup, &addrs, &count, detail), err);
  assert_string_equal(detail, expected);
  assert_int_equal(ws__lookup_result(lookup, &addrs, &count, NULL), err);
  assert_null(addrs);
  assert_int_equal(count, 77);
}

static void look_up_and_expect(const char *host, int err,
                               const char *expected) {
  fixture *f = make();
  ws__lookup *lookup = start(f, host);
  assert_ptr_equal(await_next(f), lookup);
  assert_fails(lookup, err, expected);
  ws__lookup_free(lookup);
  drop(f);
}

static int set_up(void **state) {
  (void)state;
  failing_call = NULL;
  lock_world();
  world.gate_is_open = false;
  world.calls = world.most_running = world.wakes = world.allocations = 0;
  world.is_open_to_signals = false;
  world.fail_at = UINT_MAX;
  unlock_world();
  return 0;
}

/* In the end all threads have ended and nothing is held: neither by malloc nor
 * by getaddrinfo(). */
static int tear_down(void **state) {
  (void)state;
  failing_call = NULL;
  open_gate();
  AWAIT(world.block_count == 0);
  AWAIT(world.lists == 0 && world.running == 0);
  return 0;
}

/* -- Results --------------------------------------------------------------- */

static void a_name_becomes_its_addresses_in_order(void **state) {
  (void)state;
  fixture *f = make();
  ws__lookup *lookup = start(f, "two");
  assert_ptr_equal(ws__lookup_user(lookup), f);
  assert_ptr_equal(await_next(f), lookup);
  assert_finds_two(lookup);
  assert_null(ws__resolver_next(f->resolver)); /* Each once. */
  ws__lookup_free(lookup);
  drop(f);
}

static void only_stream_addresses_of_the_family_are_asked_for(void **state) {
  (void)state;
  static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
  fixture *f = make();
  for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
    ws__lookup *lookup;
    assert_int_equal(
        ws__lookup_start(f->resolver, "two", 80, families[i], NULL, &lookup),
        0);
    assert_ptr_equal(await_next(f), lookup);
    lock_world();
    const struct addrinfo hints = world.hints;
    const bool has_service = world.has_service;
    unlock_world();
    assert_int_equal(hints.ai_family, families[i]);
    assert_int_equal(hints.ai_socktype, SOCK_STREAM);
    assert_false(has_service);
    ws__lookup_free(lookup);
  }
  drop(f);
}

static void ip_literals_need_no_thread(void **state) {
  (void)state;
  static const struct {
    const char *host;
    int family;
    const char *expected; /* NULL if the family does not fit. */
  } cases[] = {
      {"192.0.2.7", AF_UNSPEC, "192.0.2.7:443"},
      {"192.0.2.7", AF_INET, "192.0.2.7:443"},
      {"192.0.2.7", AF_INET6, NULL},
      {"2001:db8::7", AF_UNSPEC, "[2001:db8::7]:443"},
      {"[2001:db8::7]", AF_INET6, "[2001:db8::7]:443"},
      {"2001:db8::7", AF_INET, NULL},
  };
  fixture *f = make();
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    const ws__addr *addrs;
    size_t count;
    ws__lookup *lookup;
    const unsigned wakes = read_world(&world.wakes);
    assert_int_equal(ws__lookup_start(f->resolver, cases[i].host, 443,
                                      cases[i].family, NULL, &lookup),
                     0);
    assert_int_equal(read_world(&world.wakes), wakes + 1);
    assert_ptr_equal(ws__resolver_next(f->resolver), lookup);
    if (cases[i].expected != NULL) {
      assert_int_equal(ws__lookup_result(lookup, &addrs, &count, NULL), 0);
      assert_int_equal(count, 1);
      assert_addr(addrs, cases[i].expected);
    } else {
      assert_int_equal(ws__lookup_result(lookup, &addrs, &count, NULL),
                       WS_ERR_RESOLVE);
    }
    ws__lookup_free(lookup);
  }
  assert_int_equal(read_world(&world.calls), 0);
  drop(f);
}

/* Row 97. */
static void failures_name_the_host_and_the_cause(void **state) {
  (void)state;
  char expected[WS__DETAIL_SIZE];
  snprintf(expected, sizeof(expected), "unknown: %s", gai_strerror(EAI_NONAME));
  look_up_and_expect("unknown", WS_ERR_RESOLVE, expected);
  snprintf(expected, sizeof(expected), "broken: %s", strerror(ENFILE));
  look_up_and_expect("broken", WS_ERR_RESOLVE, expected);
  look_up_and_expect("nothing", WS_ERR_RESOLVE,
                     "nothing: the name has no address");
}

static void of_500_addresses_the_first_are_used(void **state) {
  (void)state;
  fixture *f = make();
  ws__lookup *lookup = start(f, "many");
  assert_ptr_equal(await_next(f), lookup);
  const ws__addr *addrs;
  size_t count;
  assert_int_equal(ws__lookup_result(lookup, &addrs, &count, NULL), 0);
  assert_int_equal(count, WS__RESOLVER_MAX_ADDRS);
  assert_addr(&addrs[0], "10.0.0.0:443");
  assert_addr(&addrs[count - 1], "10.0.0.63:443");
  ws__lookup_free(lookup);
  drop(f);
}

static void addresses_that_are_not_ip_are_passed_over(void **state) {
  (void)state;
  fixture *f = make();
  ws__lookup *lookup = start(f, "odd");
  assert_ptr_equal(await_next(f), lookup);
  const ws__addr *addrs;
  size_t count;
  assert_int_equal(ws__lookup_result(lookup, &addrs, &count, NULL), 0);
  assert_int_equal(count, 1);
  assert_addr(addrs, "192.0.2.2:443");
  ws__lookup_free(lookup);
  drop(f);
}

static void a_host_of_any_length_is_passed_on(void **state) {
  (void)state;
  static char host[70000];
  memset(host, 'h', sizeof(host) - 1);
  fixture *f = make();
  ws__lookup *lookup = start(f, host);
  assert_ptr_equal(await_next(f), lookup);
  assert_finds_two(lookup);
  ws__lookup_free(lookup);
  drop(f);
}

static void the_real_getaddrinfo_runs_in_such_a_thread(void **state) {
  (void)state;
  fixture *f = make();
  ws__lookup *lookup = start(f, "localhost");
  assert_ptr_equal(await_next(f), lookup);
  const ws__addr *addrs;
  size_t count = 0;
  char detail[WS__DETAIL_SIZE];
  const int err = ws__lookup_result(lookup, &addrs, &count, detail);
  const uint16_t port = err == 0 ? ws__addr_port(&addrs[0]) : 0;
  ws__lookup_free(lookup);
  drop(f);
  if (err != 0) skip(); /* A system without even /etc/hosts. */
  assert_true(count >= 1);
  assert_int_equal(port, 443);
}

/* -- Slow lookups ---------------------------------------------------------- */

static void the_owner_does_not_wait_for_a_slow_lookup(void **state) {
  (void)state;
  fixture *f = make();
  ws__lookup *slow = start(f, "slow");
  AWAIT(world.running == 1);
  assert_null(ws__resolver_next(f->resolver));
  ws__lookup *fast = start(f, "two");
  assert_ptr_equal(await_next(f), fast);
  open_gate();
  assert_ptr_equal(await_next(f), slow);
  assert_finds_two(slow);
  ws__lookup_free(fast);
  ws__lookup_free(slow);
  drop(f);
}

/* */
static void a_lookup_can_be_freed_while_it_runs(void **state) {
  (void)state;
  fixture *f = make();
  const size_t held = f->alloc.held;
  ws__lookup *lookup = start(f, "slow");
  AWAIT(world.running == 1);
  ws__lookup_free(lookup);
  assert_int_equal(f->alloc.held, held);
  open_gate();
  AWAIT(world.wakes == 1);
  assert_null(ws__resolver_next(f->resolver));
  AWAIT(world.block_count == 1); /* The hub. */
  drop(f);
}

/* */
static void the_resolver_can_be_freed_while_lookups_run(void **state) {
  (void)state;
  enum {
    LOOKUPS = 5
  };
  fixture *f = make();
  for (int i = 0; i < LOOKUPS; i++) {
    ws__lookup *lookup = start(f, i % 2 == 0 ? "slow" : "slow unknown");
    AWAIT(world.running == (unsigned)i + 1);
    ws__lookup_free(lookup);
  }
  drop(f);
  assert_int_equal(read_world(&world.running), LOOKUPS);
  /* tear_down() opens the gate and waits for the memory. */
}

static void a_lookup_can_be_freed_in_any_state(void **state) {
  (void)state;
  fixture *f = make();
  ws__lookup *running[WS__RESOLVER_THREADS];
  for (int i = 0; i < WS__RESOLVER_THREADS; i++)
    running[i] = start(f, "slow");
  AWAIT(world.running == WS__RESOLVER_THREADS);
  ws__lookup *waiting = start(f, "two");
  ws__lookup_free(waiting);
  ws__lookup *ended = start(f, "192.0.2.7");
  ws__lookup_free(ended); /* Not handed out yet. */
  assert_null(ws__resolver_next(f->resolver));
  open_gate();
  /* Its thread may be through, but next() has not heard of it. */
  AWAIT(world.wakes == WS__RESOLVER_THREADS + 1);
  ws__lookup_free(running[0]);
  for (int i = 1; i < WS__RESOLVER_THREADS; i++)
    assert_ptr_not_equal(await_next(f), running[0]);
  assert_null(ws__resolver_next(f->resolver));
  for (int i = 1; i < WS__RESOLVER_THREADS; i++)
    ws__lookup_free(running[i]);
  ws__lookup_free(NULL);
  ws__resolver_free(NULL);
  drop(f);
}

static void only_so_many_threads_run_at_once(void **state) {
  (void)state;
  enum {
    LOOKUPS = 5 * WS__RESOLVER_THREADS
  };
  fixture *f = make();
  ws__lookup *lookups[LOOKUPS];
  for (int i = 0; i < LOOKUPS; i++)
    lookups[i] = start(f, "slow");
  AWAIT(world.running == WS__RESOLVER_THREADS);

  /* Those whose lookups are freed still count. */
  for (int i = 0; i < WS__RESOLVER_THREADS; i++)
    ws__lookup_free(lookups[i]);
  assert_null(ws__resolver_next(f->resolver));
  open_gate();
  for (int i = WS__RESOLVER_THREADS; i < LOOKUPS; i++)
    assert_finds_two(await_next(f));
  for (int i = WS__RESOLVER_THREADS; i < LOOKUPS; i++)
    ws__lookup_free(lookups[i]);
  assert_int_equal(read_world(&world.calls), LOOKUPS);
  assert_true(read_world(&world.most_running) <= WS__RESOLVER_THREADS);
  drop(f);
}

/* What ThreadSanitizer is to look at. */
static void lookups_end_and_are_freed_in_any_order(void **state) {
  (void)state;
  enum {
    ROUNDS = 40,
    LOOKUPS = 12
  };
  open_gate();
  for (int round = 0; round < ROUNDS; round++) {
    fixture *f = make();
    ws__lookup *lookups[LOOKUPS];
    for (int i = 0; i < LOOKUPS; i++)
      lookups[i] = start(f, i % 3 == 0 ? "unknown" : "slow");
    for (int i = 0; i < LOOKUPS; i++) {
      if ((i + round) % 4 == 0) ws__resolver_next(f->resolver);
      ws__lookup_free(lookups[(i * 5 + round) % LOOKUPS]);
    }
    drop(f);
  }
}

/* -- Threads and failures -------------------------------------------------- */

static void the_threads_take_no_signals(void **state) {
  (void)state;
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  fixture *f = make();
  ws__lookup *lookup = start(f, "two");
  assert_ptr_equal(await_next(f), lookup);
  lock_world();
  const bool is_open = world.is_open_to_signals;
  unlock_world();
  assert_false(is_open);
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  for (int number = 1; number < 32; number++)
    assert_int_equal(sigismember(&before, number), sigismember(&after, number));
  ws__lookup_free(lookup);
  drop(f);
}

static void a_thread_that_cannot_start_ends_the_lookup(void **state) {
  (void)state;
  static const char *const calls[] = {
      "pthread_create", "pthread_attr_init", "pthread_attr_setdetachstate",
      "pthread_attr_setstacksize", "pthread_sigmask"};
  char expected[WS__DETAIL_SIZE];
  snprintf(expected, sizeof(expected), "two: %s", strerror(EAGAIN));
  fixture *f = make();
  for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
    failing_call = calls[i];
    ws__lookup *lookup = start(f, "two");
    failing_call = NULL;
    assert_int_equal(read_world(&world.wakes), i + 1);
    assert_ptr_equal(ws__resolver_next(f->resolver), lookup);
    assert_fails(lookup, WS_ERR_RESOLVE, expected);
    ws__lookup_free(lookup);
  }
  drop(f);
}

static void a_waiting_lookup_ends_when_its_thread_cannot_start(void **state) {
  (void)state;
  fixture *f = make();
  for (int i = 0; i <= WS__RESOLVER_THREADS; i++)
    (void)start(f, "slow");
  AWAIT(world.running == WS__RESOLVER_THREADS);
  open_gate();
  AWAIT(world.wakes == WS__RESOLVER_THREADS);
  failing_call = "pthread_create";
  unsigned failed = 0;
  for (int i = 0; i <= WS__RESOLVER_THREADS; i++) {
    ws__lookup *lookup = await_next(f);
    const ws__addr *addrs;
    size_t count;
    failed += ws__lookup_result(lookup, &addrs, &count, NULL) != 0;
    ws__lookup_free(lookup);
  }
  assert_int_equal(failed, 1);
  drop(f);
}

static void a_resolver_without_a_lock_is_not_made(void **state) {
  (void)state;
  fixture f;
  failing_call = "pthread_mutex_init";
  assert_int_equal(begin_resolver(&f), WS_ERR_NO_MEMORY);
  assert_int_equal(f.alloc.held, 0);
  free(f.ctx);
}

/* Looks two hosts up. False if memory was short, which must be told. */
static bool look_up_two_hosts(fixture *f) {
  static const char *const hosts[] = {"two", "192.0.2.7"};
  bool is_ok = true;
  for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
    ws__lookup *lookup;
    int err =
        ws__lookup_start(f->resolver, hosts[i], 443, AF_UNSPEC, NULL, &lookup);
    if (err == 0) {
      const ws__addr *addrs;
      size_t count;
      char detail[WS__DETAIL_SIZE];
      assert_ptr_equal(await_next(f), lookup);
      err = ws__lookup_result(lookup, &addrs, &count, detail);
      if (err != 0) assert_non_null(strstr(detail, hosts[i]));
      ws__lookup_free(lookup);
    }
    if (err != 0) assert_int_equal(err, WS_ERR_NO_MEMORY);
    is_ok = is_ok && err == 0;
  }
  return is_ok;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  enum {
    ALLOCATIONS = 7 /* More than there are of either kind. */
  };
  for (int is_malloc = 0; is_malloc <= 1; is_malloc++) {
    for (unsigned n = 0; n < ALLOCATIONS; n++) {
      fixture f;
      test_alloc_init(&f.alloc);
      if (!is_malloc) f.alloc.fail_at = n;
      lock_world();
      world.allocations = 0;
      world.fail_at = is_malloc ? n : UINT_MAX;
      unlock_world();

      f.ctx = calloc(1, sizeof(*f.ctx));
      const int err =
          ws__resolver_new(&f.alloc.allocator, wake, f.ctx, &f.resolver);
      const bool is_ok = err == 0 && look_up_two_hosts(&f);
      if (err == 0) {
        ws__resolver_free(f.resolver);
      } else {
        assert_int_equal(err, WS_ERR_NO_MEMORY);
      }
      free(f.ctx);
      assert_int_equal(f.alloc.held, 0);
      AWAIT(world.block_count == 0);

      const bool was_hit =
          is_malloc ? read_world(&world.allocations) > n : f.alloc.calls > n;
      assert_int_equal(is_ok, !was_hit);
      assert_false(was_hit && n == ALLOCATIONS - 1);
    }
  }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_name_becomes_its_addresses_in_order),
      CASE(only_stream_addresses_of_the_family_are_asked_for),
      CASE(ip_literals_need_no_thread),
      CASE(failures_name_the_host_and_the_cause),
      CASE(of_500_addresses_the_first_are_used),
      CASE(addresses_that_are_not_ip_are_passed_over),
      CASE(a_host_of_any_length_is_passed_on),
      CASE(the_real_getaddrinfo_runs_in_such_a_thread),
      CASE(the_owner_does_not_wait_for_a_slow_lookup),
      CASE(a_lookup_can_be_freed_while_it_runs),
      CASE(the_resolver_can_be_freed_while_lookups_run),
      CASE(a_lookup_can_be_freed_in_any_state),
      CASE(only_so_many_threads_run_at_once),
      CASE(lookups_end_and_are_freed_in_any_order),
      CASE(the_threads_take_no_signals),
      CASE(a_thread_that_cannot_start_ends_the_lookup),
      CASE(a_waiting_lookup_ends_when_its_thread_cannot_start),
      CASE(a_resolver_without_a_lock_is_not_made),
      CASE(every_allocation_may_fail),
  };
#undef CASE
  return cmocka_run_group_tests(tests, NULL, NULL);
}
