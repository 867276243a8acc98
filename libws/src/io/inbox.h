/* inbox.h - what other threads have for a loop: tasks, in the order they came.
 *
 * Counted references: senders on other threads may outlive the loop, which
 * closes the inbox when it ends. All memory comes from malloc, since threads
 * share it. Any thread may call ws__inbox_put(); the rest is the loop's. */
#ifndef WS__INBOX_H
#define WS__INBOX_H

#include "base/hidden.h"
#include "ws/ws.h"

WS__HIDDEN_BEGIN

typedef struct ws__inbox ws__inbox;

/* What runs when the loop gets to it. Lives inside what it is about. */
typedef struct ws__letter ws__letter;
struct ws__letter {
  ws__letter *next;
  /* Called by the loop's thread, and owns the letter from then on. `loop` is
   * NULL when the inbox was closed before: then there is only to clean up.
   * Returns whether `*out_event` has been filled in, all of it. */
  bool (*open)(ws__letter *letter, ws_loop *loop, ws_event *out_event);
};

/* Ends the wait of the loop; called under the inbox's lock. */
typedef void (*ws__inbox_wake_fn)(void *ctx);

/* Returns 0 or WS_ERR_NO_MEMORY. */
int ws__inbox_new(ws__inbox_wake_fn wake, void *ctx, ws__inbox **out_inbox);

ws__inbox *ws__inbox_retain(ws__inbox *inbox);

/* NULL is fine. */
void ws__inbox_release(ws__inbox *inbox);

/* Puts a letter in and wakes the loop. Returns 0, or WS_ERR_INVALID_STATE when
 * the loop has ended, and then the letter is still the caller's. */
int ws__inbox_put(ws__inbox *inbox, ws__letter *letter);

/* Takes all letters, the oldest first. NULL if there are none. From the first
 * call on the inbox is this thread's. */
ws__letter *ws__inbox_take(ws__inbox *inbox);

/* Whether the inbox is the calling thread's. Any thread. */
bool ws__inbox_is_mine(const ws__inbox *inbox);

/* Takes no more letters; those inside are opened without a loop. */
void ws__inbox_close(ws__inbox *inbox);

WS__HIDDEN_END

#endif
