/* echo.cpp - an echo server, or a broadcasting one, with uWebSockets, over
 * epoll and OpenSSL, which are its own defaults on Linux. */
#include "App.h"

#include "../common/peer.h"

/* Echoes are sent at once and clients read, so neither limit is ever met. */
static constexpr unsigned max_message = 16 << 20;
static constexpr unsigned max_backlog = 64 << 20;

struct Session {};

template <bool TLS> static void serve(const peer_options &options) {
  uWS::SocketContextOptions tls;
  tls.cert_file_name = options.tls_cert;
  tls.key_file_name = options.tls_key;
  uWS::TemplatedApp<TLS> app(tls);

  typename uWS::TemplatedApp<TLS>::template WebSocketBehavior<Session> behavior;
  if (options.has_compression)
    behavior.compression =
        uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
  behavior.maxPayloadLength = max_message;
  behavior.maxBackpressure = max_backlog;
  if (options.is_broadcast) {
    behavior.open = [](auto *socket) { socket->subscribe("all"); };
    behavior.message = [&app](auto *, std::string_view message,
                              uWS::OpCode opcode) {
      app.publish("all", message, opcode);
    };
  } else {
    behavior.message = [&options](auto *socket, std::string_view message,
                                  uWS::OpCode opcode) {
      socket->send(message, opcode, options.has_compression);
    };
  }

  app.template ws<Session>("/*", std::move(behavior));
  app.listen("127.0.0.1", options.port,
             [&options](us_listen_socket_t *listener) {
               if (listener == nullptr) peer_die("listen");
               auto *socket = reinterpret_cast<us_socket_t *>(listener);
               peer_announce(&options, us_socket_local_port(TLS, socket));
             });
  app.run();
}

int main(int argc, char **argv) {
  peer_options options;
  peer_read_options(&options, argc, argv);
  if (options.tls_cert != nullptr) serve<true>(options);
  else serve<false>(options);
}
