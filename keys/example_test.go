package keys_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/sanad-id/sanad/keys"
)

func ExampleParsePublicKey() {
	key, err := keys.ParsePublicKey([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Algorithm(), key.ID())
	// Output: EdDSA 866eefbd6718c884
}

// Keys live in a file; each signature asks first whether this key may make it.
func ExampleFile() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, now := context.Background(), time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

	file, err := keys.CreateFile(filepath.Join(dir, "keys.sanad"), []byte("correct horse battery staple"), nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := keys.Bootstrap(ctx, file, keys.Spec{Purpose: keys.Credential, Created: now})
	if err != nil {
		log.Fatal(err)
	}
	signer, err := file.Signer(ctx, key.ID())
	if err != nil {
		log.Fatal(err)
	}
	if err := keys.CheckSigner(signer, keys.Credential, now); err != nil {
		log.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a certificate"))
	signature, err := signer.Sign(nil, digest[:], crypto.SHA256)
	fmt.Println(len(signature) > 0, err)

	err = keys.CheckSigner(signer, keys.StatusList, now)
	fmt.Println(err != nil)
	// Output:
	// true <nil>
	// true
}

func ExamplePlanRotation() {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var all []keys.Key // as Keystore.Keys returns them
	next, err := keys.PlanRotation(all, keys.Credential, now, 8*24*time.Hour)
	fmt.Println(next.Step, err)
	// Output: generate <nil>
}
