/* parcel.h - events of sockets as copies that nobody else owns, for their way
 * from one thread to another. All memory comes from malloc. */
#ifndef CORE_PARCEL_H
#define CORE_PARCEL_H

#include <stdbool.h>
#include <stddef.h>

#include "ws/ws.h"

typedef struct core_parcel core_parcel;

struct core_parcel {
  core_parcel *next;
  ws_event event; /* What it points to stands behind the parcel. */
  size_t size;    /* In all. */
};

/* Copies an event of a client's socket. NULL without memory. The socket is not
 * retained. */
core_parcel *core_parcel_new(const ws_event *event);

#endif
