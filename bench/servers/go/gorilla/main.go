// An echo server, or a broadcasting one, with gorilla/websocket, whose defaults
// are kept; it does not check UTF-8.
package main

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"libws-bench/peer"
)

// room is all connections, for a broadcast.
type room struct {
	sync.Mutex
	members map[*websocket.Conn]struct{}
}

func (r *room) join(conn *websocket.Conn) {
	r.Lock()
	defer r.Unlock()
	r.members[conn] = struct{}{}
}

func (r *room) leave(conn *websocket.Conn) {
	r.Lock()
	defer r.Unlock()
	delete(r.members, conn)
}

// publish frames the message once. A connection has one writer at a time, which
// the lock sees to.
func (r *room) publish(kind int, message []byte) {
	prepared, err := websocket.NewPreparedMessage(kind, message)
	if err != nil {
		return
	}
	r.Lock()
	defer r.Unlock()
	for conn := range r.members {
		_ = conn.WritePreparedMessage(prepared) // Its own reader sees it fail.
	}
}

func main() {
	options := peer.ReadOptions()
	all := room{members: map[*websocket.Conn]struct{}{}}
	upgrader := websocket.Upgrader{EnableCompression: options.Compression}

	peer.Serve(options, func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if options.Broadcast {
			all.join(conn)
			defer all.leave(conn)
		}
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if options.Broadcast {
				all.publish(kind, message)
			} else if conn.WriteMessage(kind, message) != nil {
				return
			}
		}
	})
}
