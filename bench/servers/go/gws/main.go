// An echo server, or a broadcasting one, with lxzan/gws, whose defaults are kept;
// it does not check UTF-8.
package main

import (
	"net/http"
	"sync"

	"github.com/lxzan/gws"

	"libws-bench/peer"
)

const maxMessage = 16 << 20

type handler struct {
	gws.BuiltinEventHandler
	isBroadcast bool

	mutex   sync.Mutex
	members map[*gws.Conn]struct{}
}

func (h *handler) OnOpen(conn *gws.Conn) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.members[conn] = struct{}{}
}

func (h *handler) OnClose(conn *gws.Conn, _ error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	delete(h.members, conn)
}

func (h *handler) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	if h.isBroadcast {
		h.publish(message)
		return
	}
	_ = conn.WriteMessage(message.Opcode, message.Bytes()) // OnClose follows.
}

// publish frames the message once.
func (h *handler) publish(message *gws.Message) {
	broadcaster := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer broadcaster.Close()
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for conn := range h.members {
		_ = broadcaster.Broadcast(conn)
	}
}

func main() {
	options := peer.ReadOptions()
	h := &handler{
		isBroadcast: options.Broadcast,
		members:     map[*gws.Conn]struct{}{},
	}
	upgrader := gws.NewUpgrader(h, &gws.ServerOption{
		ReadMaxPayloadSize:  maxMessage,
		WriteMaxPayloadSize: maxMessage,
		PermessageDeflate:   gws.PermessageDeflate{Enabled: options.Compression},
	})

	peer.Serve(options, func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		// The handler's goroutine and its buffers end here.
		go conn.ReadLoop()
	})
}
