/* idn.h - the ASCII form of host names beyond ASCII (UTS 46, by libidn2).
 *
 * A build with WS_HAVE_IDN2 is linked with libidn2. One with WS_IDN_DLOPEN can
 * do without: it loads the library where there is such a name, if the system
 * has it. Otherwise such names are refused. */
#ifndef WS__IDN_H
#define WS__IDN_H

#include "base/buf.h"
#include "base/hidden.h"

WS__HIDDEN_BEGIN

/* Puts the ASCII form of the name that `host` holds, UTF-8 without a NUL, in
 * its place. Returns 0; WS_ERR_SYNTAX with the reason, which is static, in
 * `out_reason`; WS_ERR_NO_MEMORY. After an error the content of `host` is
 * unspecified. */
int ws__idn_to_ascii(ws__buf *host, const ws_allocator *allocator,
                     const char **out_reason);

WS__HIDDEN_END

#endif
