/* loop.h - the inside of a ws_loop: sources of events, and whose turn it is.
 *
 * A source is what events come from: a socket, a listener, a timer, a server.
 * It has a descriptor to watch, or a deadline, or it is scheduled because a
 * call has left it something to do. Whichever comes, the loop gives it a turn:
 * begin() once, then next() for one event after the other until it has no more.
 * Turns do not nest, and no source calls the application.
 *
 * Invariants: a source has one slot in the heap of deadlines from
 * ws__loop_add() to ws__loop_remove(), so that setting a deadline cannot fail;
 * the heap is also the list of all sources. */
#ifndef WS__LOOP_H
#define WS__LOOP_H

#include "base/alloc.h"
#include "base/detail.h"
#include "base/heap.h"
#include "base/hidden.h"
#include "io/inbox.h"
#include "io/poller.h"
#include "io/resolver.h"
#include "io/trace.h"
#include "ws/ws.h"

#include <stdatomic.h>

WS__HIDDEN_BEGIN

typedef struct ws__source ws__source;

/* What a turn is about, beside WS__POLLER_READ and _WRITE: a lookup has ended,
 * or the deadline has come. With none of them set the source was scheduled. */
#define WS__READY_LOOKUP   4U
#define WS__READY_DEADLINE 8U

typedef struct ws__source_ops {
  /* Begins a turn. */
  void (*begin)(ws__source *source, unsigned ready);
  /* Hands out the next event of the turn, all of its members, or ends the turn
   * and returns false. May then have freed the source. */
  bool (*next)(ws__source *source, ws_event *out_event);
  /* The loop ends: leaves it, and frees what nobody else holds. */
  void (*drop)(ws__source *source);
} ws__source_ops;

/* Lives inside what events come from. Zeroed, with `ops` and the descriptor
 * (-1 for none) filled in, it is in no loop. */
struct ws__source {
  const ws__source_ops *ops;
  ws__poller_node node;
  ws__heap_node deadline;
  ws__source *next; /* Scheduled after it. */
};

/* Sources in a row; the `next` of the last one is itself. */
typedef struct ws__queue {
  ws__source *first;
  ws__source *last;
} ws__queue;

struct ws_loop {
  ws_allocator allocator;
  ws__poller *poller;
  ws__resolver *resolver; /* NULL until the first lookup. */
  ws__inbox *inbox;
  ws__heap deadlines;
  uint64_t now;
  unsigned forks; /* When the loop was made. */

  /* This turn. */
  ws__source *current;  /* Whose turn it is. */
  ws__letter *letters;  /* Taken from the inbox, not opened. */
  uint32_t pulled;      /* Events that the one whose turn it is has had. */
  uint32_t starts_left; /* Scheduled sources that still get a turn. */
  bool is_turning;      /* Between wait() and the false of next(). */

  ws__queue scheduled; /* For this turn, */
  ws__queue later;     /* and for the next one. */

  /* Lent to one socket at a time, during its turn. */
  uint8_t *receive_buffer; /* In the block, */
  uint8_t *receive_block;  /* at the start of a page. */
  uint8_t *send_buffer;
  uint32_t receive_size;
  uint32_t send_size;

  /* The latest failure of a transport, for the error event that follows; and
   * the words of the event under way, which stay when something else fails. */
  const ws__source *failed;
  int failed_err;
  char failure[WS__DETAIL_SIZE];
  char told[WS__DETAIL_SIZE];

  ws__trace trace;
  bool is_shared;     /* Another loop watches the descriptor. */
  uint32_t holders;   /* What keeps ws_loop_run() going. */
  uint32_t lingerers; /* See io/linger.h. */
  ws_tls_context *default_tls;
  ws_loop_stats stats;

  /* Any thread. */
  atomic_bool is_stopped;
  atomic_bool has_lookups; /* ws__resolver_next() may have something. */
};

/* Puts a source into the loop. Returns 0 or WS_ERR_NO_MEMORY. */
int ws__loop_add(ws_loop *loop, ws__source *source);

/* Takes it out: not watched, not scheduled, no deadline. Does nothing if it is
 * not in the loop. Its descriptor stays open. */
void ws__loop_remove(ws_loop *loop, ws__source *source);

/* Sets what to watch the source's descriptor for. Also for sources that are
 * only watched and not in the loop. Returns as ws__poller_set(). */
int ws__loop_watch(ws_loop *loop, ws__source *source, unsigned interest);

/* Sets when the source gets a turn at the latest; WS_NO_DEADLINE takes it
 * back. */
void ws__loop_set_deadline(ws_loop *loop, ws__source *source, uint64_t when);

/* The same for one that does not mind to be called early: a deadline that comes
 * before stays, which saves work when deadlines move on with each message. */
void ws__loop_set_deadline_lazily(ws_loop *loop, ws__source *source,
                                  uint64_t when);

/* Gives the source a turn soon, in this turn of the loop if one is under way.
 */
void ws__loop_schedule(ws_loop *loop, ws__source *source);

/* Gives the source, whose turn is ending, another one in the next turn of the
 * loop, so that others are not kept waiting. */
void ws__loop_schedule_later(ws_loop *loop, ws__source *source);

/* Whether the source whose turn it is may go on after its share of events:
 * nobody else is known to wait, and the turn has not been long. */
bool ws__loop_has_time(const ws_loop *loop);

/* Keeps in what words a source has failed with `err`, until another source
 * fails. `detail` may be NULL. */
void ws__loop_note_failure(ws_loop *loop, const ws__source *source, int err,
                           const char *detail);

/* The words of the latest failure, for an event, if it was this one of this
 * source; otherwise NULL. Stay until the next event. */
const char *ws__loop_tell_failure(ws_loop *loop, const ws__source *source,
                                  int err);

/* Whether this is a forked child, and the loop its parent's. */
bool ws__loop_is_foreign(const ws_loop *loop);

/* Brings the time of the loop up to date when no turn is under way. */
void ws__loop_refresh(ws_loop *loop);

/* Returns the resolver, made when first needed, or NULL without memory. The
 * `user` of a lookup is the source that gets a turn with WS__READY_LOOKUP. */
ws__resolver *ws__loop_resolver(ws_loop *loop);

WS__HIDDEN_END

#endif
