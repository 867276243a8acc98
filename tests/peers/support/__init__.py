"""What the tests with peers share: processes, raw sockets, certificates, peers."""
