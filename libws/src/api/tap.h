/* tap.h - reads along what flows over one connection, for a trace: requests,
 * responses and frames as they are on the wire, one line each.
 *
 * It judges nothing: what is wrong is shown as it is. Secrets stay hidden: the
 * values of headers that hold credentials or cookies, and masking keys. */
#ifndef WS__TAP_H
#define WS__TAP_H

#include "base/hidden.h"
#include "io/trace.h"
#include "proto/frame.h"

WS__HIDDEN_BEGIN

/* How much is shown of a line of a head, of a payload that is text, and of any
 * other. */
#define WS__TAP_LINE   160
#define WS__TAP_TEXT   64
#define WS__TAP_BINARY 16

/* One direction of a connection. */
typedef struct ws__tap_flow {
  uint8_t state;
  char mark; /* Of its lines: '>' for sent, '<' for received. */
  bool is_response;
  bool is_upgrade; /* Frames follow the head. */
  bool is_text;    /* The message is text, and not compressed. */
  uint8_t head[WS__FRAME_HEAD_MAX];
  uint8_t head_len;
  uint64_t len;  /* Of the line so far, or of the payload. */
  uint64_t left; /* Of the payload. */
  size_t wanted; /* Of it, to be shown. */
  size_t have;   /* In `shown`. */
  uint8_t shown[WS__TAP_LINE];
} ws__tap_flow;

typedef struct ws__tap {
  const ws__trace *trace;
  unsigned number;
  ws__tap_flow sent;
  ws__tap_flow received;
} ws__tap;

/* Begins with a connection on which nothing has flowed. */
void ws__tap_init(ws__tap *tap, const ws__trace *trace);

/* The same connection begins anew: a redirect, or another attempt. */
void ws__tap_reset(ws__tap *tap);

/* What was sent or received. Not kept. */
void ws__tap_read(const ws__tap *tap, ws__tap_flow *flow, const uint8_t *data,
                  size_t len);

WS__HIDDEN_END

#endif
