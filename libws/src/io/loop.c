/* loop.c - see loop.h. Nothing here knows what a source is: whose turn it is
 * follows from descriptors, deadlines, lookups and the two queues alone. */
#include "io/loop.h"
#include "base/list.h"
#include "io/clock.h"
#include "io/fork.h"
#include "io/net.h"
#include "io/tls.h"

#include <errno.h>
#include <string.h>

#define KIB 1024U
#define MIB (1024U * KIB)

#define MIN_BUFFER     (4U * KIB)
#define MAX_BUFFER     (16U * MIB)
#define RECEIVE_BUFFER (256U * KIB)
#define SEND_BUFFER    (64U * KIB)

/* The kernel copies to a buffer three times as slowly (Zen 3) when that lies a
 * few bytes behind a page and the source, as is common, at the start of one:
 * where malloc puts large blocks. */
#define RECEIVE_ALIGNMENT ((size_t)4096)

/* How many scheduled sources get their turn before descriptors are looked at
 * again. */
#define STARTS_PER_TURN 1024U

/* How long a source may go on while no other has anything to do, as far as that
 * is known without looking at descriptors again. */
#define LONG_TURN_MS 2U

/* -- Making ---------------------------------------------------------------- */

void ws_loop_options_init(ws_loop_options *options) {
  *options = (ws_loop_options){.size = sizeof(*options), .trace_fd = -1};
}

bool ws__loop_is_foreign(const ws_loop *loop) {
  return loop->forks != ws__fork_count();
}

static int open_trace(ws_loop *loop, int fd, ws_error *out_error) {
  char detail[WS__DETAIL_SIZE];
  const int error = ws__trace_open(&loop->trace, fd, detail);
  return error == 0
             ? 0
             : ws__report_system(out_error, WS_ERR_SYSTEM, error, detail);
}

static int system_failure(ws_error *out_error, int err) {
  if (err == WS_ERR_NO_MEMORY)
    return ws__report(out_error, err, ws_strerror(err));
  char text[WS__DETAIL_SIZE];
  const int error = errno;
  return ws__report_system(out_error, WS_ERR_SYSTEM, error,
                           ws__errno_text(error, text));
}

static bool is_buffer_size(uint32_t size) {
  return size == 0 || (size >= MIN_BUFFER && size <= MAX_BUFFER);
}

/* Takes over the options, or returns what is wrong with them. */
static const char *take_options(ws_loop *loop, const ws_loop_options *options) {
  if (options->size != sizeof(*options)) {
    return "size: not set by ws_loop_options_init()";
  }
  if (!is_buffer_size(options->receive_buffer)) {
    return "receive_buffer: not 4 KiB to 16 MiB";
  }
  if (!is_buffer_size(options->send_buffer)) {
    return "send_buffer: not 4 KiB to 16 MiB";
  }
  loop->allocator =
      options->allocator.reallocate != NULL ? options->allocator : ws__malloc;
  loop->receive_size =
      options->receive_buffer != 0 ? options->receive_buffer : RECEIVE_BUFFER;
  loop->send_size =
      options->send_buffer != 0 ? options->send_buffer : SEND_BUFFER;
  return NULL;
}

static void wake_poller(void *ctx) {
  const ws_loop *loop = ctx;
  ws__poller_wake(loop->poller);
}

static void free_loop(ws_loop *loop) {
  const ws_allocator allocator = loop->allocator;
  ws__trace_close(&loop->trace);
  ws__inbox_release(loop->inbox);
  ws__poller_destroy(loop->poller);
  ws__heap_free(&loop->deadlines, &allocator);
  ws__free(&allocator, loop->receive_block,
           loop->receive_size + RECEIVE_ALIGNMENT);
  ws__free(&allocator, loop->send_buffer, loop->send_size);
  ws__free(&allocator, loop, sizeof(*loop));
}

/* What a loop consists of, or an error and nothing that free_loop() could not
 * take. */
static int build(ws_loop *loop, const char *backend) {
  const ws_allocator *allocator = &loop->allocator;
  loop->receive_block =
      ws__alloc(allocator, loop->receive_size + RECEIVE_ALIGNMENT);
  loop->send_buffer = ws__alloc(allocator, loop->send_size);
  if (loop->receive_block == NULL || loop->send_buffer == NULL) {
    return WS_ERR_NO_MEMORY;
  }
  const size_t past_page = (uintptr_t)loop->receive_block % RECEIVE_ALIGNMENT;
  loop->receive_buffer = loop->receive_block + (RECEIVE_ALIGNMENT - past_page);
  int err = ws__fork_watch();
  if (err == 0) err = ws__poller_create(allocator, backend, &loop->poller);
  if (err == 0) err = ws__inbox_new(wake_poller, loop, &loop->inbox);
  return err;
}

int ws_loop_new(const ws_loop_options *options, ws_loop **out_loop,
                ws_error *out_error) {
  ws_loop_options defaults;
  ws_loop_options_init(&defaults);
  if (options == NULL) options = &defaults;

  ws_loop made = {.now = ws__clock_ms(), .trace.fd = -1};
  const char *fault = take_options(&made, options);
  if (fault != NULL)
    return ws__report(out_error, WS_ERR_INVALID_ARGUMENT, fault);
  ws_loop *loop = ws__alloc(&made.allocator, sizeof(*loop));
  if (loop == NULL) return system_failure(out_error, WS_ERR_NO_MEMORY);
  memcpy(loop, &made, sizeof(made));
  atomic_init(&loop->is_stopped, false);
  atomic_init(&loop->has_lookups, false);

  int err = build(loop, options->backend);
  if (err == WS_ERR_INVALID_ARGUMENT) {
    ws__report(out_error, err, "backend: unknown on this system");
  } else if (err != 0) {
    err = system_failure(out_error, err);
  } else {
    err = open_trace(loop, options->trace_fd, out_error);
  }
  if (err != 0) {
    free_loop(loop);
    return err;
  }
  loop->forks = ws__fork_count();
  *out_loop = loop;
  return 0;
}

/* -- Sources --------------------------------------------------------------- */

int ws__loop_add(ws_loop *loop, ws__source *source) {
  return ws__heap_insert(&loop->deadlines, &loop->allocator, &source->deadline,
                         WS_NO_DEADLINE);
}

/* -- Queues ---------------------------------------------------------------- */

static void push(ws__queue *queue, ws__source *source) {
  source->next = source;
  if (queue->first == NULL) {
    queue->first = source;
  } else {
    queue->last->next = source;
  }
  queue->last = source;
}

static ws__source *take(ws__queue *queue) {
  ws__source *source = queue->first;
  queue->first = source == queue->last ? NULL : source->next;
  if (queue->first == NULL) queue->last = NULL;
  source->next = NULL;
  return source;
}

/* Puts those of `other` behind those of `queue`. */
static void append(ws__queue *queue, ws__queue *other) {
  if (other->first == NULL) return;
  if (queue->first == NULL) {
    *queue = *other;
  } else {
    queue->last->next = other->first;
    queue->last = other->last;
  }
  *other = (ws__queue){NULL, NULL};
}

/* Takes a source out, if it is in. */
static void withdraw(ws__queue *queue, ws__source *source) {
  ws__queue others = {NULL, NULL};
  while (queue->first != NULL) {
    ws__source *first = take(queue);
    if (first != source) push(&others, first);
  }
  *queue = others;
}

static void empty(ws__queue *queue) {
  while (queue->first != NULL)
    (void)take(queue);
}

void ws__loop_remove(ws_loop *loop, ws__source *source) {
  if (!ws__heap_contains(&source->deadline)) return;
  (void)ws__loop_watch(loop, source, 0);
  if (source->next != NULL) {
    withdraw(&loop->scheduled, source);
    withdraw(&loop->later, source);
  }
  ws__heap_remove(&loop->deadlines, &source->deadline);
  if (loop->current == source) loop->current = NULL;
  if (loop->failed == source) loop->failed = NULL;
}

int ws__loop_watch(ws_loop *loop, ws__source *source, unsigned interest) {
  if (source->node.fd < 0) return 0;
  if (ws__loop_is_foreign(loop)) return 0; /* It is the parent's. */
  return ws__poller_set(loop->poller, &source->node, interest);
}

static uint64_t first_deadline(const ws_loop *loop) {
  const ws__heap_slot *slot = ws__heap_min(&loop->deadlines);
  return slot != NULL ? slot->key : WS_NO_DEADLINE;
}

void ws__loop_set_deadline(ws_loop *loop, ws__source *source, uint64_t when) {
  /* At most one turn for each source in a turn of the loop, or one that is
   * always due would starve the others. */
  if (loop->is_turning && when <= loop->now) when = loop->now + 1;
  ws__heap_update(&loop->deadlines, &source->deadline, when);
  if (loop->is_shared && !loop->is_turning) {
    (void)ws__poller_arm(loop->poller, first_deadline(loop));
  }
}

void ws__loop_set_deadline_lazily(ws_loop *loop, ws__source *source,
                                  uint64_t when) {
  const ws__heap_slot *slot =
      &loop->deadlines.slots[source->deadline.place - 1];
  if (when < slot->key) ws__loop_set_deadline(loop, source, when);
}

void ws__loop_schedule(ws_loop *loop, ws__source *source) {
  if (source->next != NULL || loop->current == source) return;
  push(&loop->scheduled, source);
  if (loop->is_shared && !loop->is_turning) ws__poller_wake(loop->poller);
}

void ws__loop_schedule_later(ws_loop *loop, ws__source *source) {
  if (source->next == NULL) push(&loop->later, source);
}

bool ws__loop_has_time(const ws_loop *loop) {
  if (loop->scheduled.first != NULL || loop->later.first != NULL ||
      loop->letters != NULL || ws__poller_has_next(loop->poller)) {
    return false;
  }
  const uint64_t now = ws__clock_ms();
  return now < loop->now + LONG_TURN_MS && now < first_deadline(loop);
}

void ws__loop_refresh(ws_loop *loop) {
  if (!loop->is_turning) loop->now = ws__clock_ms();
}

void ws__loop_note_failure(ws_loop *loop, const ws__source *source, int err,
                           const char *detail) {
  const bool has_detail = detail != NULL && detail[0] != '\0';
  loop->failed = has_detail ? source : NULL;
  loop->failed_err = err;
  if (has_detail) ws__detail_set(loop->failure, "%s", detail);
}

const char *ws__loop_tell_failure(ws_loop *loop, const ws__source *source,
                                  int err) {
  if (loop->failed != source || loop->failed_err != err) return NULL;
  memcpy(loop->told, loop->failure, sizeof(loop->told));
  return loop->told;
}

/* -- The end --------------------------------------------------------------- */

void ws_loop_free(ws_loop *loop) {
  if (loop == NULL) return;
  empty(&loop->scheduled);
  empty(&loop->later);
  /* The last one first: removing it moves no other. */
  while (loop->deadlines.len > 0) {
    ws__heap_node *node = loop->deadlines.slots[loop->deadlines.len - 1].node;
    ws__source *source = WS__CONTAINER_OF(node, ws__source, deadline);
    source->ops->drop(source);
  }
  /* In a forked child the locks of both may be held for ever, by threads that
   * are in the parent only. */
  if (!ws__loop_is_foreign(loop)) {
    while (loop->letters != NULL) {
      ws__letter *letter = loop->letters;
      loop->letters = letter->next;
      letter->open(letter, NULL, NULL);
    }
    ws__inbox_close(loop->inbox);
    ws__resolver_free(loop->resolver);
  }
  ws__tls_context_release(loop->default_tls);
  free_loop(loop);
}

/* -- Lookups --------------------------------------------------------------- */

static void wake_for_lookup(void *ctx) {
  ws_loop *loop = ctx;
  atomic_store(&loop->has_lookups, true);
  ws__poller_wake(loop->poller);
}

ws__resolver *ws__loop_resolver(ws_loop *loop) {
  if (loop->resolver == NULL &&
      ws__resolver_new(&loop->allocator, wake_for_lookup, loop,
                       &loop->resolver) != 0) {
    loop->resolver = NULL;
  }
  return loop->resolver;
}

static ws__source *next_looked_up(ws_loop *loop) {
  if (!atomic_load(&loop->has_lookups)) return NULL;
  const ws__lookup *lookup = ws__resolver_next(loop->resolver);
  if (lookup != NULL) return ws__lookup_user(lookup);
  /* Once more, for what came between the two. */
  atomic_store(&loop->has_lookups, false);
  lookup = ws__resolver_next(loop->resolver);
  return lookup != NULL ? ws__lookup_user(lookup) : NULL;
}

/* -- Turns ----------------------------------------------------------------- */

int ws_loop_wait(ws_loop *loop, int timeout_ms) {
  if (ws__loop_is_foreign(loop)) return WS_ERR_FORKED;
  if (loop->is_turning) return 0;
  append(&loop->scheduled, &loop->later);
  if (loop->scheduled.first != NULL) timeout_ms = 0;

  (void)ws__poller_arm(loop->poller, first_deadline(loop));
  const int err = ws__poller_wait(loop->poller, timeout_ms);
  if (err != 0) return WS_ERR_SYSTEM;
  loop->now = ws__clock_ms();
  loop->letters = ws__inbox_take(loop->inbox);
  loop->starts_left = STARTS_PER_TURN;
  loop->is_turning = true;
  loop->stats.turns++;
  return 0;
}

static void start(ws_loop *loop, ws__source *source, unsigned ready) {
  loop->current = source;
  source->ops->begin(source, ready);
}

/* Gives the next source its turn. Returns false when nobody has anything. */
static bool start_next(ws_loop *loop) {
  ws__poller_event event;
  if (ws__poller_next(loop->poller, &event)) {
    start(loop, WS__CONTAINER_OF(event.node, ws__source, node), event.ready);
    return true;
  }
  if (first_deadline(loop) <= loop->now) {
    ws__heap_node *node = ws__heap_min(&loop->deadlines)->node;
    ws__heap_update(&loop->deadlines, node, WS_NO_DEADLINE);
    start(loop, WS__CONTAINER_OF(node, ws__source, deadline),
          WS__READY_DEADLINE);
    return true;
  }
  ws__source *looked_up = next_looked_up(loop);
  if (looked_up != NULL) {
    start(loop, looked_up, WS__READY_LOOKUP);
    return true;
  }
  if (loop->scheduled.first != NULL && loop->starts_left > 0) {
    loop->starts_left--;
    start(loop, take(&loop->scheduled), 0);
    return true;
  }
  return false;
}

/* Opens letters until one has an event. */
static bool open_letters(ws_loop *loop, ws_event *out_event) {
  while (loop->letters != NULL) {
    ws__letter *letter = loop->letters;
    loop->letters = letter->next;
    if (letter->open(letter, loop, out_event)) return true;
  }
  return false;
}

static bool pull(ws_loop *loop, ws_event *out_event) {
  do {
    /* Whose turn it is may have ended it: then `current` is another. */
    ws__source *source = loop->current;
    if (source != NULL && source->ops->next(source, out_event)) return true;
    loop->current = NULL;
    if (open_letters(loop, out_event)) return true;
  } while (start_next(loop));
  return false;
}

/* The turn is over. What is left to do has to end the next wait at once, also
 * if that is another loop's. */
static void end_turn(ws_loop *loop) {
  loop->is_turning = false;
  if (!loop->is_shared) return;
  (void)ws__poller_arm(loop->poller, first_deadline(loop));
  if (loop->scheduled.first != NULL || loop->later.first != NULL) {
    ws__poller_wake(loop->poller);
  }
}

bool ws_loop_next(ws_loop *loop, ws_event *out_event) {
  if (!loop->is_turning) return false;
  if (pull(loop, out_event)) {
    loop->stats.events++;
    return true;
  }
  end_turn(loop);
  return false;
}

/* -- The rest of the public calls ------------------------------------------ */

int ws_loop_fd(ws_loop *loop, int *out_fd) {
  const int err = ws__poller_fd(loop->poller, out_fd);
  if (err == WS_ERR_INVALID_STATE) return err;
  if (err != 0) return WS_ERR_SYSTEM;
  loop->is_shared = true;
  if (!loop->is_turning) end_turn(loop);
  return 0;
}

void ws_loop_stop(ws_loop *loop) {
  atomic_store(&loop->is_stopped, true);
  ws__poller_wake(loop->poller);
}

bool ws_loop_is_alive(const ws_loop *loop) {
  return loop->holders > 0;
}

uint64_t ws_loop_now(const ws_loop *loop) {
  return loop->now;
}

void ws_loop_get_stats(const ws_loop *loop, ws_loop_stats *out_stats) {
  *out_stats = loop->stats;
}
