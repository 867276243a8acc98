/* hidden.h - what a header declares between these two stays inside the library
 * or the module that the sources are compiled into, whatever the flags. Not
 * every build can be told -fvisibility=hidden: luarocks' cannot. */
#ifndef WS__HIDDEN_H
#define WS__HIDDEN_H

#ifdef __GNUC__
#define WS__HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define WS__HIDDEN_END   _Pragma("GCC visibility pop")
#else
#define WS__HIDDEN_BEGIN
#define WS__HIDDEN_END
#endif

#endif
