//go:build !js

package cose

import (
	"fmt"
	"sync"

	gocose "github.com/veraison/go-cose"

	"github.com/sanad-id/sanad/keys"
)

// maxVerifiers bounds the cache of verifiers: a country has some hundred keys.
const maxVerifiers = 1024

// verifiers are the library's verifiers of keys that were used, by thumbprint.
// They hold a key and nothing else, can be used from several goroutines, and cost
// more to make than everything else about a verification but the signature.
var verifiers struct {
	sync.RWMutex
	of map[[32]byte]gocose.Verifier
}

// verifyBy verifies with the library.
func verifyBy(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	v, err := verifierOf(alg, pub)
	if err != nil {
		return fmt.Errorf("cose: %v", err)
	}
	if v.Verify(message, signature) != nil {
		return ErrSignature
	}
	return nil
}

func verifierOf(alg keys.Algorithm, pub keys.PublicKey) (gocose.Verifier, error) {
	id := pub.Thumbprint()
	verifiers.RLock()
	v, ok := verifiers.of[id]
	verifiers.RUnlock()
	if ok {
		return v, nil
	}
	v, err := gocose.NewVerifier(gocose.Algorithm(alg.COSE()), pub.Crypto())
	if err != nil {
		return nil, err
	}
	verifiers.Lock()
	defer verifiers.Unlock()
	if verifiers.of == nil || len(verifiers.of) >= maxVerifiers {
		verifiers.of = make(map[[32]byte]gocose.Verifier)
	}
	verifiers.of[id] = v
	return v, nil
}
