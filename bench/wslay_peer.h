/* wslay_peer.h - wslay as a user of its event API has it, to compare with:
 * messages buffered whole, text checked, keys from the same source as ours. */
#ifndef BENCH_WSLAY_PEER_H
#define BENCH_WSLAY_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws/conn.h"

typedef struct wslay_peer wslay_peer;

/* Whether this program was built with wslay. */
bool wslay_peer_is_there(void);

/* Returns NULL if it was not. */
wslay_peer *wslay_peer_new(ws_role role);
void wslay_peer_free(wslay_peer *peer);

/* Receives until a transport with these bytes has no more; it copies them to
 * where wslay asks for them, as recv() would. Returns how many messages came.
 */
size_t wslay_peer_receive(wslay_peer *peer, const uint8_t *data, size_t len);

/* Queues a message `count` times, and sends until all have gone to a transport
 * that takes everything at once and does nothing with it. */
void wslay_peer_send(wslay_peer *peer, ws_message_type type,
                     const uint8_t *data, size_t len, size_t count);

#endif
