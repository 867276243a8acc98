/* driver.h - one ws_conn under test together with its peer and transport.
 *
 * The driver opens the connection by a real handshake, plays the peer, takes
 * the output, and keeps a transcript of the events. How bytes are cut, lent and
 * handed over is a matter of its mode, which must never change what happens.
 *
 * Everything is fed from blocks of exactly its size, so that a sanitizer sees
 * whoever reads too far. */
#ifndef DRIVER_H
#define DRIVER_H

#include "transcript.h"
#include "ws/conn.h"

/* How the driver handles bytes. Zeroed: whole segments, whole messages. */
typedef struct driver_mode {
  size_t chunk;      /* Feed at most this many bytes at once; 0: all. */
  size_t cuts[2];    /* Cut the input here, in ascending order; 0: nowhere. */
  bool is_streaming; /* Take messages in pieces, and join them. */
  bool keeps_input;  /* ws_conn_keep_input() after each event. */
  bool fills_place;  /* Feed from where ws_conn_input() says. */
  bool is_prompt;    /* Take output after each event, not after all. */
  bool trickles;     /* The transport takes one byte of output at a time. */
  size_t lent_size;  /* Lend a buffer of this size for output; 0: none. */
} driver_mode;

typedef struct driver driver;

struct driver {
  ws_conn *conn; /* NULL when it could not be made. */
  ws_role role;
  driver_mode mode;
  uint64_t now;
  bool is_blocked; /* The transport takes nothing. */

  transcript log; /* Events, as in tests/data/frames.txt. */
  size_t events;  /* In `log`. */
  size_t errors;
  size_t closes;
  bool is_open; /* WS_EVENT_OPEN has come. */

  /* Called after each event that went into `log`, and after WS_EVENT_OPEN. */
  void (*on_event)(driver *d);
  const void *on_event_ctx;

  /* What the connection wrote since the log last told. */
  uint8_t *out;
  size_t out_len;
  size_t out_cap;
  uint16_t told_code; /* The Close frame that an error event announced. */

  /* All below is the driver's own. */
  uint8_t *block; /* Input the connection has borrowed. */
  size_t fed;     /* Bytes fed after the handshake. */
  uint8_t *message;
  size_t message_len;
  size_t message_cap;
  bool in_message;
  uint8_t *lent;
};

/* Defaults for a test: fixed random bytes, no compression. */
void driver_options_init(ws_conn_options *options);

/* A random source that gives the same bytes in every run of a program. */
int driver_random(void *ctx, void *out, size_t len);

/* Makes a connection and opens it. `d` must be zeroed but for `on_event` and
 * its context. `extensions` is what the peer offers or accepts as
 * Sec-WebSocket-Extensions, NULL for nothing; `early` travels in one piece with
 * the end of the handshake. Returns whether it opened; the driver must be freed
 * either way. */
bool driver_open(driver *d, ws_role role, ws_conn_config *config,
                 const driver_mode *mode, const char *extensions,
                 const uint8_t *early, size_t early_len);

void driver_free(driver *d);

/* Feeds bytes from the peer as they are, and settles. */
void driver_feed(driver *d, const uint8_t *data, size_t len);

/* Appends to `out` a frame of the peer that stands unmasked in `frame`, masked
 * if the connection under test is a server. Whatever the frame claims, the mask
 * goes where the length says. `out` has room for 4 more bytes than the frame.
 * Returns how many bytes were written. */
size_t driver_frame(const driver *d, uint8_t *out, const uint8_t *frame,
                    size_t len);

/* Feeds one such frame. */
void driver_feed_frame(driver *d, const uint8_t *frame, size_t len);

/* The transport ends. */
void driver_eof(driver *d);

/* `ms` pass. */
void driver_tick(driver *d, uint64_t ms);

/* Pulls all events and lets all output go, until there is no more of either. */
void driver_settle(driver *d);

/* Adds to the log what was written since the last call: "out: ..." with the
 * frames of a client unmasked, and "tells 1002" for the Close frame that goes
 * with an error. */
void driver_log_output(driver *d);

/* If all that was written since the log last told is a single ping, adds
 * "pings": its payload is the connection's own business. */
void driver_log_keepalive(driver *d);

/* The line of the log for an event; also what a table expects. */
void driver_log_message(transcript *t, ws_message_type type,
                        const uint8_t *data, size_t len);
void driver_log_close(transcript *t, uint16_t code, bool was_clean,
                      const char *reason, size_t len);

#endif
