package fetch

import "net"

// NewWatched is New with a resolver of the test's own and a look at each connection
// that passed the guard; an error of connect is that of the connection.
func NewWatched(c Config, r *net.Resolver, connect func(address string) error) *Client {
	return newClient(c, r, connect)
}
