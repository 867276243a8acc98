/* ws/base.h - what every libws header shares: the version, the errors, the
 * allocator hook and the name/value pair of an HTTP header.
 *
 * Conventions of the whole library:
 *   - Functions return 0 or a negative `ws_err`; results come back through
 *     out-parameters, which are written only on success unless said otherwise.
 *   - Handles are opaque and every `_free` function accepts NULL.
 *   - Sizes are in bytes and times in milliseconds.
 */
#ifndef WS_BASE_H
#define WS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one place that holds the version; the builds and packages read it. */
#define WS_VERSION_MAJOR 0
#define WS_VERSION_MINOR 1
#define WS_VERSION_PATCH 0

/* WS_STATIC: the sources are part of a program or module, which does not pass
 * their functions on. */
#if !defined(__GNUC__)
#define WS_API
#elif defined(WS_STATIC)
#define WS_API __attribute__((visibility("hidden")))
#else
#define WS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the version of the library that is running, "MAJOR.MINOR.PATCH". The
 * string is static. Any thread. Since 0.1. */
WS_API const char *ws_version(void);

/* -- Errors ----------------------------------------------------------------
 *
 * X(name, number, text): `name` makes the enumerator WS_ERR_<name>; `text` is
 * what ws_strerror() says. This one list feeds the enum, the names, the
 * messages and the exceptions of the language bindings. Names and numbers are
 * stable.
 *
 * Names that other implementations gave the same faults are kept, so that
 * EXPECTED_MASK means here what it means in npm's `ws`. The option to raise
 * stands in brackets at the end of a text, where the Close that tells the peer
 * leaves it out. */
#define WS_ERR_MAP(X)                                                          \
  /* Misuse by the caller. */                                                  \
  X(INVALID_ARGUMENT, -1, "invalid argument")                                  \
  X(INVALID_STATE, -2, "the call is not allowed in this state")                \
  X(SYNTAX, -3, "malformed URL, subprotocol or close reason")                  \
  X(INVALID_ACCESS, -4, "close code must be 1000 or from 3000 to 4999")        \
  X(FORKED, -5, "the loop belongs to the parent process")                      \
  /* The environment. */                                                       \
  X(SYSTEM, -9, "the operating system refused")                                \
  X(NO_MEMORY, -10, "out of memory")                                           \
  X(RANDOM, -11, "the random source failed")                                   \
  X(UNEXPECTED_EOF, -12, "the transport ended without a Close frame")          \
  X(TRANSPORT, -13, "the transport failed")                                    \
  X(ABORTED, -14, "the application ended the connection")                      \
  X(RESOLVE, -15, "the host name could not be resolved")                       \
  X(CONNECT, -16, "no address of the host could be reached")                   \
  X(PROXY, -17, "the proxy refused or broke its protocol")                     \
  X(TLS, -18, "TLS failed")                                                    \
  X(CERTIFICATE, -19, "the certificate of the peer was not accepted")          \
  /* The opening handshake: what both sides refuse. */                         \
  X(HTTP_SYNTAX, -20, "malformed HTTP head")                                   \
  X(HTTP_VERSION, -21, "unsupported HTTP version")                             \
  X(HTTP_TOO_LARGE, -22, "HTTP head exceeds a limit")                          \
  X(INVALID_UPGRADE, -23, "Upgrade or Connection does not name websocket")     \
  X(INVALID_SUBPROTOCOL, -24, "malformed Sec-WebSocket-Protocol")              \
  X(INVALID_EXTENSIONS, -25, "malformed Sec-WebSocket-Extensions")             \
  /* The opening handshake: what a server refuses. */                          \
  X(HTTP_METHOD, -30, "the method of an upgrade must be GET")                  \
  X(HTTP_BODY, -31, "an upgrade request must not have a body")                 \
  X(INVALID_HOST, -32, "missing, repeated or malformed Host")                  \
  X(HOST_NOT_ALLOWED, -33, "Host is not one of the allowed hosts")             \
  X(ORIGIN_NOT_ALLOWED, -34, "Origin is not allowed")                          \
  X(INVALID_VERSION, -35, "Sec-WebSocket-Version must be 13")                  \
  X(INVALID_KEY, -36, "Sec-WebSocket-Key must be 16 bytes in base64")          \
  /* The opening handshake: what a client refuses. */                          \
  X(UNEXPECTED_STATUS, -40, "the server did not answer with status 101")       \
  X(INVALID_ACCEPT, -41, "missing or wrong Sec-WebSocket-Accept")              \
  X(UNEXPECTED_SUBPROTOCOL, -42, "the server chose a subprotocol not offered") \
  X(MISSING_SUBPROTOCOL, -43, "the server chose none of the subprotocols")     \
  X(UNEXPECTED_EXTENSION, -44, "the server chose an extension not offered")    \
  X(INVALID_EXTENSION_PARAMETER, -45, "illegal extension parameter")           \
  X(REDIRECT, -46, "the server redirects to where it must not be followed")    \
  X(BLOCKED_PORT, -47, "the port is one that browsers block")                  \
  /* Frames and messages (RFC 6455 sections 5 and 7, RFC 7692). */             \
  X(EXPECTED_FIN, -50, "a control frame must not be fragmented")               \
  X(EXPECTED_MASK, -51, "a client's frame must be masked")                     \
  X(UNEXPECTED_MASK, -52, "a server's frame must not be masked")               \
  X(UNEXPECTED_RSV_1, -53, "RSV1 must be clear")                               \
  X(UNEXPECTED_RSV_2_3, -54, "RSV2 and RSV3 must be clear")                    \
  X(INVALID_OPCODE, -55, "reserved opcode")                                    \
  X(UNEXPECTED_CONTINUATION, -56, "continuation frame without a message")      \
  X(EXPECTED_CONTINUATION, -57, "new message inside a fragmented message")     \
  X(INVALID_CONTROL_PAYLOAD_LENGTH, -58, "control frame over 125 bytes")       \
  X(NON_MINIMAL_LENGTH, -59, "payload length not in its shortest form")        \
  X(UNSUPPORTED_DATA_PAYLOAD_LENGTH, -60, "payload length over 2^63 - 1")      \
  X(UNSUPPORTED_MESSAGE_LENGTH, -61,                                           \
    "message exceeds the size limit (max_message)")                            \
  X(TOO_MANY_BUFFERED_PARTS, -62,                                              \
    "message has too many fragments (max_fragments)")                          \
  X(TOO_MANY_USELESS_FRAMES, -63, "too many useless frames (useless_burst)")   \
  X(INVALID_UTF8, -64, "text is not valid UTF-8")                              \
  X(INVALID_CLOSE_CODE, -65, "close code that must not be on the wire")        \
  X(INVALID_CLOSE_PAYLOAD, -66, "Close body of one byte")                      \
  X(INVALID_DEFLATE, -67, "compressed message is not valid DEFLATE data")      \
  /* Deadlines and bounds. */                                                  \
  X(HANDSHAKE_TIMEOUT, -80, "opening handshake has timed out")                 \
  X(PING_TIMEOUT, -81, "no sign of life after a ping (ping_timeout)")          \
  X(MESSAGE_TIMEOUT, -82, "unfinished message (message_timeout)")              \
  X(SEND_TIMEOUT, -83, "the peer takes no data (send_timeout)")                \
  X(CLOSE_TIMEOUT, -84, "closing handshake has timed out (close_timeout)")     \
  X(SEND_QUEUE_FULL, -85, "unsent data exceeds max_send_queue")

/* What a call returns, and why a connection fails. */
typedef enum ws_err {
  WS_OK = 0,
#define WS_ERR_ENUM(name, number, text) WS_ERR_##name = (number),
  WS_ERR_MAP(WS_ERR_ENUM)
#undef WS_ERR_ENUM
} ws_err;

/* Returns the name of `err` without its prefix, such as "EXPECTED_MASK"; "OK"
 * for 0 and "UNKNOWN" for a number that is no error. Static string. Any
 * thread. Since 0.1. */
WS_API const char *ws_err_name(int err);

/* Returns one line that describes `err` to a person. Static string. Any
 * thread. Since 0.1. */
WS_API const char *ws_strerror(int err);

/* Room for the message of a ws_error, its NUL included. */
#define WS_ERROR_SIZE 160

/* What went wrong, with the thing itself named: an address, a file, an option,
 * the words of the system. Filled in where a function takes one and fails; may
 * then be NULL. */
typedef struct ws_error {
  ws_err code;
  /* The errno of the call of the system that failed; 0 if none did. */
  int system_error;
  /* One line of printable ASCII that ends in NUL. */
  char message[WS_ERROR_SIZE];
} ws_error;

/* -- Memory ----------------------------------------------------------------
 *
 * Every byte libws holds is asked for through one of these. `reallocate` works
 * like realloc with the old size handed in: `ptr` is NULL for a new block,
 * `new_size` is 0 to free one. It returns NULL when it fails or frees. A failed
 * call must leave the old block as it was. Called on the thread that uses the
 * handle; must not call back into libws. */
typedef struct ws_allocator {
  void *(*reallocate)(void *ctx, void *ptr, size_t old_size, size_t new_size);
  void *ctx;
} ws_allocator;

/* -- HTTP headers ----------------------------------------------------------
 *
 * One header field, as slices that need no terminating NUL. Names compare
 * without regard to ASCII case (RFC 9110 section 5.1); values are bytes, in
 * practice Latin-1, without leading or trailing blanks. */
typedef struct ws_header {
  const char *name;
  size_t name_len;
  const char *value;
  size_t value_len;
} ws_header;

/* Returns the value of the first header called `name`, in any case, or NULL. Of
 * headers that came from a peer it ends in NUL. Any thread. Since 0.1. */
WS_API const char *ws_header_find(const ws_header *headers, size_t count,
                                  const char *name);

#ifdef __cplusplus
}
#endif

#endif /* WS_BASE_H */
