package did

import (
	"context"
	"errors"
	"fmt"
)

// A Resolver finds the document of a DID. Its methods may be called at once from
// several goroutines. An error that is not [ErrUnresolved], nor that of a context that
// has ended, is a decision about this DID.
type Resolver interface {
	Resolve(ctx context.Context, did string) (*Document, error)
}

// A Fetcher returns what stands at an https address, with status 200 and a media type
// of [MediaTypes], following no redirect to another host and reaching nothing inside of
// a network: internal/fetch has it. Its error means that nothing was to be had.
type Fetcher func(ctx context.Context, address string) ([]byte, error)

// MediaTypes are those of a DID document, for a [Fetcher].
var MediaTypes = []string{"application/did+json", "application/did+ld+json", "application/json", "application/ld+json"}

// Config is what [New] needs. Both fields are optional.
type Config struct {
	// Fetch gets documents of did:web. Without it such a DID is [ErrUnresolved].
	Fetch Fetcher
	// LocalHosts are hosts of did:web that need not be public, for development.
	LocalHosts []string
}

// New returns a [Resolver] for did:key, did:jwk and did:web.
func New(c Config) Resolver { return resolver{c} }

type resolver struct{ cfg Config }

// Resolve implements [Resolver].
func (r resolver) Resolve(ctx context.Context, did string) (*Document, error) {
	method, id, err := split(did)
	if err != nil {
		return nil, err
	}
	switch method {
	case "key":
		return resolveKey(did, id)
	case "jwk":
		return resolveJWK(did, id)
	case "web":
		return r.resolveWeb(ctx, did)
	}
	return nil, fmt.Errorf("%w: %s", ErrMethod, cut(method))
}

func (r resolver) resolveWeb(ctx context.Context, did string) (*Document, error) {
	address, err := WebURL(did, r.cfg.LocalHosts...)
	if err != nil {
		return nil, err
	}
	if r.cfg.Fetch == nil {
		return nil, fmt.Errorf("%w: nothing is fetched here", ErrUnresolved)
	}
	b, err := r.cfg.Fetch(ctx, address)
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil && errors.Is(err, ctxErr) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnresolved, err)
	}
	return Parse(b, did)
}
