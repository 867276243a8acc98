/* request.h - HTTP as it is seen around handshakes: Headers, Request, Response.
 * Strings are Latin-1, so that every byte has a character. */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "loop.h"

/* The loop keeps the request of a socket alive until the connection opens or
 * ends; until then the socket's user data points to it. */
typedef struct core_request {
  PyObject_HEAD
  PyObject *dict;
  core_root root;
  PyObject *method;
  PyObject *target;
  PyObject *headers;
  PyObject *protocols; /* A list of str. */
  PyObject *remote;
  PyObject *server; /* NULL for a Connection's. */
  core_loop *loop;
  /* Whose request it is, retained, until it is answered or the client is gone;
   * then NULL, as always for a Connection's. */
  ws_socket *handle;
  bool is_upgrade;
  bool is_held; /* hold() was called. */
} core_request;

/* Makes the Request of a socket; with `handle` NULL that of a Connection. */
PyObject *core_request_new(core_state *state, const ws_request *request,
                           core_loop *loop, PyObject *server,
                           ws_socket *handle);

/* It has been answered, or never can be. */
void core_request_end(core_request *request);

/* The same, and its socket lets go of it. */
void core_request_drop(core_request *request);

/* Answers. `reason` for an exception comes from the library. */
int core_request_accept(core_request *request, const ws_conn_answer *answer);
int core_request_respond(core_request *request, PyObject *response);
int core_request_respond_file(core_request *request, PyObject *folder);
int core_request_refuse(core_request *request, uint16_t status);

/* The value of a header, or NULL, borrowed. */
PyObject *core_request_header(const core_request *request, const char *name);

PyObject *core_response_of(core_state *state, const ws_response *response);

typedef int (*core_accept_fn)(void *target, const ws_conn_answer *answer);
typedef int (*core_respond_fn)(void *target, uint16_t status,
                               const ws_header *headers, size_t header_count,
                               const void *body, size_t body_len);

/* accept() and respond() with their Python arguments converted. */
PyObject *core_call_accept(PyObject *args, PyObject *kwargs,
                           core_accept_fn accept, PyObject *target);
PyObject *core_call_respond(PyObject *args, PyObject *kwargs,
                            core_respond_fn respond, PyObject *target);

#endif
