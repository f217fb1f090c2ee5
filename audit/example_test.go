package audit_test

import (
	"bytes"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
)

func Example() {
	signer := newSigner(new(testing.T), 1) // of a keystore, in real life
	storage := &memory{}                   // of package store, in real life
	head, err := audit.Append(storage, []audit.Event{{
		Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), Kind: audit.CredentialRevoked, Actor: "rahima",
		Credential: "01JD5AAAAAAAAAAAAAAAAAAAAA", Reason: "lost",
	}})
	if err != nil {
		log.Fatal(err)
	}
	checkpoint, err := audit.SignCheckpoint("sanad.example/audit", head, time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), signer)
	if err != nil {
		log.Fatal(err)
	}
	key, err := audit.VerifierKey("sanad.example/audit", signer.Key().Public)
	if err != nil {
		log.Fatal(err)
	}

	// The auditor has the entries, the checkpoint and the key.
	entries := append(bytes.Join(storage.entries, []byte("\n")), '\n')
	fmt.Print(string(entries))
	report, err := audit.Verify(bytes.NewReader(entries), checkpoint, key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Size, "entry, unchanged")

	forged := bytes.Replace(entries, []byte("rahima"), []byte("karim"), 1)
	_, err = audit.Verify(bytes.NewReader(forged), checkpoint, key)
	fmt.Println(err)
	// Output:
	// {"n":0,"time":"2026-11-21T08:00:00.000Z","kind":"credential.revoked","actor":"rahima","credential":"01JD5AAAAAAAAAAAAAAAAAAAAA","reason":"lost"}
	// 1 entry, unchanged
	// audit: log changed (root) within entries 0 to 0: the entries are not those of the checkpoint
}
