package keystest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"github.com/sanad-id/sanad/keys"
)

// Memory is a [keys.Keystore] that forgets. The zero value is empty and ready
// to use; the contract test runs against it too.
type Memory struct {
	mu      sync.Mutex
	keys    []keys.Key
	private map[keys.ID]crypto.Signer
}

var _ keys.Keystore = (*Memory)(nil)

// Keys implements [keys.Keystore].
func (m *Memory) Keys(ctx context.Context) ([]keys.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys), ctx.Err()
}

// Signer implements [keys.Keystore].
func (m *Memory) Signer(_ context.Context, id keys.ID) (keys.Signer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(id)
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", keys.ErrNoKey, id)
	}
	s, err := keys.NewSigner(m.keys[i], m.private[id])
	if err != nil {
		return nil, err
	}
	return memorySigner{s, m}, nil
}

// memorySigner reports the key as it stands now.
type memorySigner struct {
	keys.Signer
	m *Memory
}

// Key implements [keys.Signer].
func (s memorySigner) Key() keys.Key {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.m.keys[s.m.find(s.Signer.Key().ID())]
}

// find returns the place of a key, or -1.
func (m *Memory) find(id keys.ID) int {
	return slices.IndexFunc(m.keys, func(k keys.Key) bool { return k.ID() == id })
}

// Generate implements [keys.Keystore].
func (m *Memory) Generate(_ context.Context, spec keys.Spec) (keys.Key, error) {
	k, alg, err := spec.Plan()
	if err != nil {
		return keys.Key{}, err
	}
	var private crypto.Signer
	switch alg {
	case keys.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case keys.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case keys.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return keys.Key{}, err
	}
	if k.Public, err = keys.NewPublicKey(alg, private.Public()); err != nil {
		return keys.Key{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.private == nil {
		m.private = map[keys.ID]crypto.Signer{}
	}
	m.private[k.ID()] = private
	m.keys = append(m.keys, k)
	return k, nil
}

// Update implements [keys.Keystore].
func (m *Memory) Update(_ context.Context, k keys.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(k.ID())
	if i < 0 {
		return fmt.Errorf("%w: %s", keys.ErrNoKey, k.ID())
	}
	if err := m.keys[i].CheckUpdate(k); err != nil {
		return err
	}
	m.keys[i] = k
	return nil
}
