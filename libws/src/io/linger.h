/* linger.h - closes a connection so that the peer hears our last words.
 *
 * A close() with unread input makes the system send a reset, which may destroy
 * what is still on its way to the peer: the Close frame or the HTTP response
 * that says what was wrong. So the sending side is shut, and what comes is
 * thrown away until the peer closes too, for a short time. */
#ifndef WS__LINGER_H
#define WS__LINGER_H

#include "base/hidden.h"
#include "io/loop.h"

WS__HIDDEN_BEGIN

/* How long at most, how much, and how many in one loop: they are connections
 * that no limit of a server counts. Those beyond are closed at once. */
#define WS__LINGER_MS    2000
#define WS__LINGER_BYTES ((size_t)16 * 1024 * 1024)
#define WS__LINGER_MAX   256

/* Takes over a descriptor that nobody watches, and whose end of sending has
 * been told already. Without memory it is closed at once. */
void ws__linger(ws_loop *loop, int fd);

WS__HIDDEN_END

#endif
