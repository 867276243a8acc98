/* dial.h - connects to the first of several addresses that answers: Happy
 * Eyeballs (RFC 8305).
 *
 * Pulled, with no clock and no event loop of its own: the caller waits until
 * one of the descriptors is writable or the deadline has come, and says so.
 *
 *     ws__dial_new(...)
 *     loop: ask ws__dial_result(); stop unless it is WS__DIAL_PENDING
 *           watch the descriptors of ws__dial_fds() that are not watched yet
 *           one is writable:  stop watching it, then ws__dial_on_ready()
 *           the deadline:     ws__dial_tick()
 *     stop watching the others, ws__dial_free()
 *
 * Invariant: a descriptor is closed only while the caller does not watch it: in
 * ws__dial_on_ready() for itself, or in ws__dial_free(). A new one with the
 * same number is therefore never mistaken for it. */
#ifndef WS__DIAL_H
#define WS__DIAL_H

#include "base/alloc.h"
#include "base/detail.h"
#include "base/hidden.h"
#include "io/net.h"

WS__HIDDEN_BEGIN

/* Milliseconds between attempts: the Connection Attempt Delay that RFC 8305
 * section 5 recommends. */
#define WS__DIAL_PACE 250

/* Attempts at once. While so many hang, the next waits for one to fail. */
#define WS__DIAL_RACES 8

/* What ws__dial_result() returns before the end. No ws_err is positive. */
#define WS__DIAL_PENDING 1

typedef struct ws__dial ws__dial;

/* Begins to connect to one of `count` addresses (at least one; copied), which
 * stand in the resolver's order. Times are in milliseconds. Returns 0 or
 * WS_ERR_NO_MEMORY. */
int ws__dial_new(const ws_allocator *allocator, const ws__addr *addrs,
                 size_t count, uint64_t now, ws__dial **out_dial);

/* Lists the descriptors of the attempts under way. Returns how many. */
size_t ws__dial_fds(const ws__dial *dial, int out_fds[WS__DIAL_RACES]);

/* Says that `fd` is writable or broken. If that was a mistake the attempt goes
 * on. A descriptor that is in no attempt is passed over. */
void ws__dial_on_ready(ws__dial *dial, int fd, uint64_t now);

/* When ws__dial_tick() has something to do; UINT64_MAX for never. */
uint64_t ws__dial_deadline(const ws__dial *dial);

/* Begins the next attempt if it is time. */
void ws__dial_tick(ws__dial *dial, uint64_t now);

/* Returns WS__DIAL_PENDING; 0, with the connected descriptor, now the caller's,
 * and its address (to be asked for once); or WS_ERR_CONNECT. With all but 0
 * `detail` says why there is no connection: the most telling error or who does
 * not answer, and how many addresses were tried. */
int ws__dial_result(ws__dial *dial, int *out_fd, ws__addr *out_addr,
                    char *detail);

/* The errno of the error that ws__dial_result() tells of; 0 if there is none.
 */
int ws__dial_system_error(const ws__dial *dial);

/* Ends all attempts, closes what was not handed out and frees. NULL is fine. */
void ws__dial_free(ws__dial *dial);

WS__HIDDEN_END

#endif
