// Package peer is what the servers written in Go share: the command line that all
// peers have, and a listener that says where it is.
package peer

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
)

// Options are those of the command line.
type Options struct {
	Port        int
	Compression bool
	Broadcast   bool // Messages go to all instead of back.
	TLSCert     string
	TLSKey      string
}

// ReadOptions reads the command line.
func ReadOptions() Options {
	var o Options
	flag.IntVar(&o.Port, "port", 0, "0: any that is free")
	flag.BoolVar(&o.Compression, "compression", false, "permessage-deflate")
	flag.BoolVar(&o.Broadcast, "broadcast", false, "to all instead of back")
	flag.StringVar(&o.TLSCert, "tls-cert", "", "PEM file")
	flag.StringVar(&o.TLSKey, "tls-key", "", "PEM file")
	flag.Parse()
	return o
}

// Serve prints "listening on ws://127.0.0.1:PORT", which the benchmark waits for,
// and answers requests for ever.
func Serve(o Options, handler http.HandlerFunc) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.Port))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	if o.TLSCert != "" {
		fmt.Printf("listening on wss://%s\n", listener.Addr())
		log.Fatal(server.ServeTLS(listener, o.TLSCert, o.TLSKey))
	}
	fmt.Printf("listening on ws://%s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}
