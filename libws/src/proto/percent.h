/* percent.h - percent-encoding undone (URL standard, section 1.3). */
#ifndef WS__PERCENT_H
#define WS__PERCENT_H

#include "base/buf.h"
#include "base/hidden.h"

WS__HIDDEN_BEGIN

/* Appends `text` with every %XX as the byte it stands for; a % that begins no
 * such thing stays as it is. Returns 0 or WS_ERR_NO_MEMORY, and then nothing
 * has changed. */
int ws__percent_decode(ws__buf *buf, const ws_allocator *allocator,
                       const char *text, size_t len);

WS__HIDDEN_END

#endif
