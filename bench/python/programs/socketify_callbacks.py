"""socketify: uWebSockets behind cffi; a server only."""

import socket

from socketify import App, AppListenOptions, AppOptions, CompressOptions

import common


def _on_message(connection, message, opcode):
    connection.send(message, opcode)


def _free_port():
    """It does not tell which port it got."""
    with socket.socket() as probe:
        probe.bind((common.HOST, 0))
        return probe.getsockname()[1]


def serve(options):
    tls = options.tls_cert and AppOptions(
        cert_file_name=options.tls_cert, key_file_name=options.tls_key
    )
    app = App(tls or None)
    app.ws(
        "/*",
        {
            "compression": CompressOptions.DISABLED,
            "max_payload_length": 16 << 20,
            "message": _on_message,
        },
    )
    app.listen(
        AppListenOptions(port=_free_port(), host=common.HOST),
        lambda config: common.announce(config.port),
    )
    app.run()


common.main(serve=serve)
