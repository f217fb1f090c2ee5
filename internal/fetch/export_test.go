package fetch

import (
	"context"
	"net"
	"net/url"
)

// NewWatched is New with a resolver of the test's own and a look at each connection
// that passed the guard; an error of connect is that of the connection.
func NewWatched(c Config, r *net.Resolver, connect func(address string) error) *Client {
	return newClient(c, r, connect)
}

// Get asks for a document of one of the media types.
func (c *Client) Get(ctx context.Context, address string, types ...string) (Answer, error) {
	return c.Do(ctx, Request{Address: address, Types: types, Keep: true})
}

// CheckPublic is what the guard says of an address that a connection is about to be made to.
func CheckPublic(address string) error { return checkPublic("", address) }

// MayLead reports whether a redirect from one address to another is followed.
func MayLead(c Config, from, to string) bool {
	u, local, err := check(from, c.LocalHosts)
	if err != nil {
		panic(err)
	}
	v, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	return New(c).mayLead(u, v, local)
}
